"""Instants in LSF's words. Pure. The commands are run with ``TZ=UTC``, so all of them are UTC."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime

_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(calendar.day_abbr)}
_INSTANT = re.compile(
    r"\s*(?:([A-Z][a-z]{2})\s+)?([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s+(\d{4}))?"
)
_DAY_S = 86_400.0
_MOST_YEARS = 6  # after so many the days of the week fall on the same dates again


def past(text: str, now: float) -> float:
    """Of ``Fri Nov 20 06:54:41`` (day of the week, seconds and year may be missing): the last such instant up to now.

    A day later than now is still taken as past, as clocks differ. 0 for an empty or unreadable text.
    """
    years = range(_year(now) + 1, _year(now) - _MOST_YEARS, -1)
    return next((at for at in _instants(text, years) if at <= now + _DAY_S), 0.0)


def future(text: str, now: float) -> float:
    """The same, for what lies ahead: the first such instant from a day ago on."""
    years = range(_year(now) - 1, _year(now) + _MOST_YEARS)
    return next((at for at in _instants(text, years) if at >= now - _DAY_S), 0.0)


def _instants(text: str, years: range) -> list[float]:
    found = _INSTANT.match(text)
    if found is None or found[2] not in _MONTHS:
        return []
    day, month, date, hour, minute, second, year = found.groups()
    instants = []
    for candidate in [int(year)] if year else years:
        parts = (candidate, _MONTHS[month], int(date), int(hour), int(minute), int(second or 0))
        try:
            at = datetime(*parts, tzinfo=UTC)
        except ValueError:  # the 29th of February
            continue
        if day not in _DAYS or at.weekday() == _DAYS[day]:
            instants.append(at.timestamp())
    return instants


def _year(now: float) -> int:
    return int(1970 + now // (365.2425 * _DAY_S))
