"""The exception family. A class says what the *engine* should do about a failure, not where it came from.

Adapters map foreign errors to one of these once, with ``raise ... from``; nothing above an adapter sees an
SDK's or a command's own error. The class also travels as a word (:class:`ErrorClass`) in action results,
events, the store and the REST API.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class ErrorClass(StrEnum):
    """What a failure means to the engine. One word per reaction."""

    TRANSIENT = "transient"  # try again soon; nothing happened
    THROTTLED = "throttled"  # we ask too often: slow down for this provider, nothing happened
    CAPACITY = "capacity"  # the provider has none of this kind now: try another resource, come back later
    QUOTA = "quota"  # a limit of the tenancy: try another tenancy, come back later
    NOT_FOUND = "not-found"  # the thing is not there (which for a removal is success)
    AUTH = "auth"  # credentials: stop using the resource until somebody looks
    BAD_CONFIG = "bad-config"  # our configuration is wrong: stop using the resource until somebody looks
    BUSY = "busy"  # refused because work is on it: nothing happened, leave it alone
    UNKNOWN_OUTCOME = "unknown-outcome"  # it may or may not have happened: look before doing it again
    BUG = "bug"  # none of the above: somebody must look


class DynamicClusterError(Exception):
    """Base of all errors that this package raises on purpose."""

    error_class: ClassVar[ErrorClass] = ErrorClass.BUG
    offering: str = ""  # of a refused launch: which offering this is about; "" = not told


class TransientError(DynamicClusterError):
    """A failure that time alone may heal, and that certainly changed nothing."""

    error_class = ErrorClass.TRANSIENT


class ThrottledError(DynamicClusterError):
    """The provider asks us to slow down. Never to be confused with missing capacity."""

    error_class = ErrorClass.THROTTLED


class CapacityError(DynamicClusterError):
    """The provider has no machine of this kind at the moment. ``sold_out``: all that were asked for in vain, by the
    names of their offerings, where a request named several."""

    error_class = ErrorClass.CAPACITY
    sold_out: tuple[str, ...] = ()


class QuotaError(DynamicClusterError):
    """A limit of the tenancy (account or project) refuses the request."""

    error_class = ErrorClass.QUOTA


class NotFoundError(DynamicClusterError):
    """The named thing does not exist (any more, or yet)."""

    error_class = ErrorClass.NOT_FOUND


class AuthError(DynamicClusterError):
    """Credentials are missing, expired or not allowed to do this."""

    error_class = ErrorClass.AUTH


class BadConfigError(DynamicClusterError):
    """The configuration asks for something that cannot be."""

    error_class = ErrorClass.BAD_CONFIG


class BusyError(DynamicClusterError):
    """Refused because jobs run there. Nothing was changed."""

    error_class = ErrorClass.BUSY


class UnknownOutcomeError(DynamicClusterError):
    """The request left, the reply did not come back: it may or may not have taken effect."""

    error_class = ErrorClass.UNKNOWN_OUTCOME


class StoreError(DynamicClusterError):
    """The store cannot be read or written (disk full, damaged file, no permission)."""

    error_class = ErrorClass.TRANSIENT


class VersionConflictError(StoreError):
    """Somebody else has written the store since we read it: another controller is running."""

    error_class = ErrorClass.BUG


def classify(error: BaseException) -> ErrorClass:
    """The engine's word for any exception; what is not ours is a bug until an adapter maps it."""
    return error.error_class if isinstance(error, DynamicClusterError) else ErrorClass.BUG
