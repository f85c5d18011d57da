"""What can go wrong when the service is asked, in classes that a caller can tell apart."""

from __future__ import annotations

from dynamiccluster.errors import DynamicClusterError, ErrorClass


class ClientError(DynamicClusterError):
    """Base of everything that :class:`dynamiccluster.client.rest.Client` raises."""


class UnreachableError(ClientError):
    """Nobody answers there, or not in time. A change that was under way may or may not have been made."""

    error_class = ErrorClass.TRANSIENT


class AnswerError(ClientError):
    """The service answered, but not with what was asked for. ``code`` is the stable word of its error document."""

    def __init__(self, status: int, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field


class RefusedError(AnswerError):
    """Not allowed in the present state, beyond a limit, or a bad value (400, 409, 415)."""


class NoSuchThingError(AnswerError):
    """The named node, job or resource does not exist (404, 405)."""

    error_class = ErrorClass.NOT_FOUND


class ForbiddenError(AnswerError):
    """The caller may not do this here (401, 403)."""

    error_class = ErrorClass.AUTH


class ServiceFailedError(AnswerError):
    """The service could not do it (5xx); with 504 it may or may not have been done."""


_BY_STATUS: dict[int, type[AnswerError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NoSuchThingError,
    405: NoSuchThingError,
}


def of_status(status: int) -> type[AnswerError]:
    """The class for a status code that is not a success."""
    if status >= 500:
        return ServiceFailedError
    return _BY_STATUS.get(status, RefusedError)
