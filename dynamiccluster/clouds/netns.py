"""Network namespaces for local instances: each a network stack of its own, joined by a bridge.

The bridge stands in a namespace of its own or in that of the machine and is made by whoever sets the site up, who
also gives it an address. Source: ip-netns(8), ip-link(8), veth(4).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Sequence

from dynamiccluster.errors import BadConfigError, CapacityError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.runner import Runner

_TIMEOUT_S = 15.0
_GONE = ("No such file or directory", "Cannot find device", "does not exist")


class BridgeNetwork:
    """Namespaces on one bridge.

    ``namespace``: where the bridge is; "" is the machine's own. ``first``: number within ``subnet`` of the first
    address that instances get; those before it belong to the site. ``directory``: where ``ip netns`` keeps its files.
    """

    def __init__(
        self,
        runner: Runner,
        subnet: str,
        *,
        bridge: str = "br0",
        namespace: str = "",
        first: int = 10,
        directory: str = "/run/netns",
    ):
        self._directory = directory
        self._runner = runner
        self._subnet = ipaddress.IPv4Network(subnet)
        self._bridge = bridge
        self._namespace = namespace
        self._first = first

    @property
    def size(self) -> int:
        """How many instances find an address."""
        return max(0, self._subnet.num_addresses - 1 - self._first)

    def free_address(self, taken: Collection[str], left: Sequence[str] = ()) -> str:
        """The lowest address that is not taken and was not ``left`` lately (the latest last); else the one left first.

        What others still send to a machine that has gone must not meet its successor. Seen with Slurm 22.05: it goes
        on trying to end a job on a dead node, and ended the same job, requeued, on the next node of that address.

        :raises CapacityError: there is none.
        """
        all_of_them = (str(self._subnet[self._first + number]) for number in range(self.size))
        free = [address for address in all_of_them if address not in taken]
        if free:
            order = {address: at for at, address in enumerate(left)}
            return min(free, key=lambda address: order.get(address, -1))
        raise CapacityError(f"all {self.size} addresses of {self._subnet} are in use")

    def path(self, host_name: str) -> str:
        """The namespace's file, which ``setns`` wants."""
        return f"{self._directory}/{self._name(host_name)}"

    def exists(self, host_name: str) -> bool:
        """Whether anything of it is left; the namespace is the last that :meth:`delete` removes."""
        return os.path.lexists(self.path(host_name))

    def create(self, host_name: str, address: str) -> None:
        """A namespace with this address on the bridge. What is left over under its name is removed first."""
        name, port = self._name(host_name), _port(address)
        self.delete(host_name, address)
        try:
            self._ip("netns", "add", name)
            self._ip("-n", name, "link", "set", "lo", "up")
            there = ("netns", self._namespace) if self._namespace else ("netns", "1")
            self._ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port, *there)
            self._ip("-n", name, "address", "add", f"{address}/{self._subnet.prefixlen}", "dev", "eth0")
            self._ip("-n", name, "link", "set", "eth0", "up")
            self._ip(*self._inside(), "link", "set", port, "master", self._bridge, "up")
        except (TransientError, BadConfigError):
            self.delete(host_name, address)
            raise

    def delete(self, host_name: str, address: str) -> None:
        """Remove the namespace. Not there is success; processes that still run in it keep what they have."""
        self._ip(*self._inside(), "link", "delete", _port(address), missing_is_fine=True)
        self._ip("netns", "delete", self._name(host_name), missing_is_fine=True)

    def _name(self, host_name: str) -> str:
        return f"{self._namespace or 'dc'}-{host_name}"

    def _inside(self) -> tuple[str, ...]:
        return ("-n", self._namespace) if self._namespace else ()

    def _ip(self, *arguments: str, missing_is_fine: bool = False) -> None:
        """:raises TransientError: it failed. Each step may be repeated, so even a time-out is not unknown."""
        try:
            completed = self._runner.run(("ip", *arguments), timeout_s=_TIMEOUT_S)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error
        if completed.returncode == 0:
            return
        if missing_is_fine and any(words in completed.stderr for words in _GONE):
            return
        if "Operation not permitted" in completed.stderr:
            raise BadConfigError(f"network namespaces need root: {completed.complaint}")
        raise TransientError(f"ip {' '.join(arguments)}: {completed.complaint}")


def _port(address: str) -> str:
    """The bridge's end of an instance's cable; names of interfaces have at most 15 characters."""
    return f"dc{int(ipaddress.IPv4Address(address)):08x}"
