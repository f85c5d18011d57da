"""Log-in with an account of this machine, through PAM.

Needs the extra ``pam``. Whether an account may log in is PAM's to say (``auth`` and ``account`` of the service named in
the configuration); what it may do here is the configuration's.
"""

from __future__ import annotations

import grp
import importlib
import os
import pwd
import re
from collections.abc import Callable, Mapping

from dynamiccluster.api.tokens import ROLES, Role
from dynamiccluster.errors import BadConfigError

_ACCOUNT = re.compile(r"[a-z_][a-z0-9._-]{0,63}\Z", re.IGNORECASE)

Authenticate = Callable[[str, str, str], bool]
"""Account, password, PAM service: whether PAM lets it in. Blocks, by design of PAM for seconds on failure."""


def authenticator() -> Authenticate:
    """PAM through ``python-pam``.

    :raises BadConfigError: it is not installed.
    """
    try:
        module = importlib.import_module("pam")
    except ImportError as error:
        raise BadConfigError("admin-server pam needs the extra: pip install 'dynamiccluster[pam]'") from error

    def authenticate(account: str, password: str, service: str) -> bool:
        return bool(module.pam().authenticate(account, password, service=service))

    return authenticate


def usable(account: str, password: str) -> bool:
    """Whether PAM is to be asked at all: names are what accounts are called, and nothing holds a zero byte."""
    return bool(_ACCOUNT.match(account)) and bool(password) and "\0" not in password


def groups_of(account: str) -> frozenset[str]:
    """The groups of an account; none if there is no such account. Blocks: a directory service may be asked."""
    try:
        entry = pwd.getpwnam(account)
        numbers = os.getgrouplist(account, entry.pw_gid)
    except (KeyError, OSError):
        return frozenset()
    found = set()
    for number in numbers:
        try:
            found.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return frozenset(found)


def role_of(account: str, groups: frozenset[str], roles: Mapping[str, str]) -> Role:
    """The highest role that an account is given by its name or, as ``@GROUP``, by a group. Else none."""
    mine = {account, *(f"@{group}" for group in groups)}
    return max((ROLES[role] for who, role in roles.items() if who in mine), default=Role.NOBODY)
