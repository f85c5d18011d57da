"""EC2's error codes, each with our word for it. Pure.

Sources: "Error codes for the Amazon EC2 API" (API reference), and codes that peers met in the field.
"""

from __future__ import annotations

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    CapacityError,
    DynamicClusterError,
    NotFoundError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)

CAPACITY = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientCapacityOnHost",
        "InsufficientVolumeCapacity",
        "InsufficientFreeAddressesInSubnet",
        "ReservationCapacityExceeded",
        "SpotMaxPriceTooLow",
        "MaxSpotFleetRequestCountExceeded",
        "UnfulfillableCapacity",
        "Unsupported",  # this type in this zone: another offer may do
    }
)
QUOTA = frozenset(
    {
        "InstanceLimitExceeded",
        "VcpuLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "VolumeLimitExceeded",
        "MaxIOPSLimitExceeded",
        "NetworkInterfaceLimitExceeded",
        "PrivateIpAddressLimitExceeded",
        "AddressLimitExceeded",
        "HostLimitExceeded",
        "ResourceLimitExceeded",
        "FleetLimitExceeded",
    }
)
THROTTLED = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "SlowDown",
    }
)
AUTH = frozenset(
    {
        "UnauthorizedOperation",
        "AuthFailure",
        "AccessDenied",
        "AccessDeniedException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "MissingAuthenticationToken",
        "IncompleteSignature",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "RequestInTheFuture",
        "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
        "OptInRequired",
        "PendingVerification",
        "Blocked",
    }
)
OF_ONE_MACHINE = frozenset(
    {
        "OperationNotPermitted",  # protected against its end, or its stop
        "IncorrectInstanceState",
        "IncorrectState",
    }
)
"""Refusals for the sake of one of the machines that a request names."""

_CLOCK = frozenset({"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"})
_CLOCK_WORDS = ("signature expired", "signature not yet current")
_MISMATCH = "IdempotentParameterMismatch"
_GONE_AGAIN = "IdempotentInstanceTerminated"


def mapped(code: str, status: int, message: str, *, launching: bool) -> DynamicClusterError:
    """The error to raise for EC2's reply. ``status``: of HTTP. ``launching``: whether machines may have come of it."""
    text = f"{code or status}: {message}" if message else code or str(status)
    if code in _CLOCK or any(words in message.lower() for words in _CLOCK_WORDS):
        text = f"this machine's clock is wrong: {text}"
    return _kind(code, status, launching)(text)


def _kind(code: str, status: int, launching: bool) -> type[DynamicClusterError]:
    for codes, kind in ((CAPACITY, CapacityError), (QUOTA, QuotaError), (THROTTLED, ThrottledError), (AUTH, AuthError)):
        if code in codes:
            return kind
    if code == _MISMATCH:  # the first request with this token asked for something else: its machines may be there
        return UnknownOutcomeError
    if code == _GONE_AGAIN:  # what the token made was ended meanwhile
        return TransientError
    if code.startswith(("InvalidInstanceID", "InvalidSpotInstanceRequestID")):
        return NotFoundError
    if code in OF_ONE_MACHINE and not launching:
        return BusyError
    if status >= 500 or status == 0:
        return UnknownOutcomeError if launching else TransientError
    return BadConfigError
