"""What can be wrong with a request, as status code and JSON."""

from __future__ import annotations

from http import HTTPStatus

from dynamiccluster.errors import DynamicClusterError, ErrorClass, StoreError
from dynamiccluster.model.command import ReplyCode

REPLY_STATUS = {
    ReplyCode.OK: HTTPStatus.OK,
    ReplyCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ReplyCode.NOT_ALLOWED: HTTPStatus.BAD_REQUEST,
    ReplyCode.CONFLICT: HTTPStatus.CONFLICT,
}

_CLASS_STATUS = {
    ErrorClass.TRANSIENT: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorClass.THROTTLED: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorClass.CAPACITY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorClass.QUOTA: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorClass.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorClass.AUTH: HTTPStatus.BAD_GATEWAY,
    ErrorClass.BAD_CONFIG: HTTPStatus.BAD_GATEWAY,
    ErrorClass.BUSY: HTTPStatus.CONFLICT,
    ErrorClass.UNKNOWN_OUTCOME: HTTPStatus.GATEWAY_TIMEOUT,
}


class ApiError(Exception):
    """An answer that is not the one asked for. ``code`` is a stable word, ``message`` is for people."""

    def __init__(self, status: int, code: str, message: str, field: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = int(status)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s


def not_found(what: str, name: str, hint: str = "") -> ApiError:
    """404 that names the thing; ``hint`` says where else to look. Names are hostile, so long ones are cut."""
    return ApiError(HTTPStatus.NOT_FOUND, "not-found", f"{what} {name[:100]} not found{hint and ': '}{hint}")


def not_ready(why: str) -> ApiError:
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", why)


def bad_field(field: str, expected: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "bad-value", f"{field}: expected {expected}", field)


def of_error(error: DynamicClusterError) -> ApiError:
    """The answer for a failure of an adapter or the store. What has no class of its own is a 500."""
    if isinstance(error, StoreError):
        return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "store", f"nothing was changed: {error}")
    status = _CLASS_STATUS.get(error.error_class, HTTPStatus.INTERNAL_SERVER_ERROR)
    return ApiError(status, error.error_class.value, str(error))
