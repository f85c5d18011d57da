"""The power button of a local instance: starts one worker as if it were a machine of its own, and returns.

Run as ``python -m dynamiccluster.clouds.local_worker``. As root the worker gets process, mount and host name
namespaces of its own, and the network namespace it is given. Its first process (a small init that reaps orphans)
ends when the worker command ends, and with it the kernel ends everything else that was started there; killing that
process is pulling the plug. Without root the worker is a process group.

Imports little on purpose: one such init stays in memory for each instance.
"""

from __future__ import annotations

import ctypes
import os
import sys

CANNOT_RUN = 3
"""Exit code: the worker command does not exist or may not be run. Nothing was started."""

CANNOT_WRITE = 4
"""Exit code: there is no room to write down that the worker runs. Nothing was started."""

_NEW_NET, _NEW_MOUNTS, _NEW_HOST_NAME, _NEW_PIDS = 0x40000000, 0x00020000, 0x04000000, 0x20000000  # linux/sched.h
_PRIVATE, _RECURSIVE = 1 << 18, 1 << 14  # linux/mount.h
_PLUG_PULLED = 9


def start_time(pid: int) -> str:
    """When the process began, in clock ticks since boot; with the pid it names one process for ever. "" = none.

    Source: proc(5), field 22 of /proc/PID/stat. A dead process that nobody has reaped counts as none.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def boot_id() -> str:
    """Which life of this machine it is: after a restart pids and ticks begin anew, and may meet those of before."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def main(arguments: list[str]) -> int:
    """``PID_FILE LOG_FILE HOST_NAME NETWORK_NAMESPACE COMMAND...``; the namespace is a path or ""."""
    pid_file, log_file, host_name, network, *command = arguments
    program = _which(command[0])
    if not program:
        print(f"there is no program {command[0]!r}, or it may not be run", file=sys.stderr)  # noqa: T201 - its output
        return CANNOT_RUN
    isolated = os.geteuid() == 0
    if network:
        handle = os.open(network, os.O_RDONLY)
        _checked(_libc().setns(handle, _NEW_NET), f"setns {network}")
        os.close(handle)
    if isolated:
        _checked(_libc().unshare(_NEW_MOUNTS | _NEW_HOST_NAME | _NEW_PIDS), "unshare")
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write_end)
        written = os.read(read_end, 1)  # until the pid is on the disk: no worker runs that is not written down
        if not written:
            os._exit(CANNOT_WRITE)
        os.close(read_end)
        os._exit(_init(program, command, log_file, host_name, isolated))
    os.close(read_end)
    try:
        with open(f"{pid_file}.new", "w", encoding="ascii") as file:
            file.write(f"{child} {start_time(child)} {boot_id()}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{pid_file}.new", pid_file)
    except OSError as error:
        print(f"{pid_file}: {error.strerror}", file=sys.stderr)  # noqa: T201 - its output
        return CANNOT_WRITE  # the child sees the pipe end without a word, and goes, too
    os.write(write_end, b"!")
    os.close(write_end)
    return 0


def _init(program: str, command: list[str], log_file: str, host_name: str, isolated: bool) -> int:
    """The instance's first process. Returns when the worker has ended."""
    os.setsid()
    os.chdir("/")
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 256)
    try:
        if isolated:
            libc = _libc()
            _checked(libc.sethostname(host_name.encode(), len(host_name.encode())), "sethostname")
            _checked(libc.mount(b"none", b"/", None, _PRIVATE | _RECURSIVE, None), "mount private")
            _checked(libc.mount(b"proc", b"/proc", b"proc", 0, None), "mount proc")
        worker = os.fork()
        if worker == 0:
            os.execv(program, command)  # noqa: S606 - an argv list, no shell
    except OSError as error:
        os.write(2, f"local instance {host_name}: {error}\n".encode())
        return 1
    ended, status = 0, 0
    while ended != worker:
        ended, status = os.wait()
    os.write(2, f"local instance {host_name}: the worker ended with {os.waitstatus_to_exitcode(status)}\n".encode())
    if not isolated:
        os.killpg(0, _PLUG_PULLED)
    return 0


def _which(program: str) -> str:
    if "/" in program:
        places = [program]
    else:
        places = [f"{directory}/{program}" for directory in os.environ.get("PATH", os.defpath).split(":")]
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), "")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
