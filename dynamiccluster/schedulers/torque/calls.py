"""Torque's programs, and the meaning of what they say when they fail."""

from __future__ import annotations

from collections.abc import Sequence

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.runner import Completed, Runner
from dynamiccluster.schedulers.torque.commands import Commands, filled, program, qstat_with

_MEANINGS: tuple[tuple[str, type[DynamicClusterError]], ...] = (
    ("okclients list hasn't been sent out", TransientError),  # a new node, for 10 to 12 s
    ("Unknown node", NotFoundError),
    ("cannot locate specified node", NotFoundError),
    ("Unknown Job Id", NotFoundError),
    ("nonexistent job id", NotFoundError),
    ("Unknown Array ID", NotFoundError),
    ("Job not found", NotFoundError),
    ("unknown job id", NotFoundError),
    ("cannot connect to server", TransientError),
    ("Unable to communicate", TransientError),
    ("Cannot connect to specified server", TransientError),
    ("Could not connect to batch server", TransientError),
    ("Connection refused", TransientError),
    ("trqauthd", TransientError),  # the daemon of this host that vouches for users
    ("Server shutting down", TransientError),
    ("Server busy", TransientError),
    ("No free connections", TransientError),
    ("Resource temporarily unavailable", TransientError),
    ("End of File", TransientError),
    ("Batch protocol error", TransientError),
    ("Time out", TransientError),
    ("Server could not connect to MOM", TransientError),
    ("Execution server rejected request", TransientError),
    ("A node is down", TransientError),
    ("Request invalid for state of job", BusyError),
    ("not rerunnable", BusyError),
    ("not rerunable", BusyError),
    ("can not be rerun", BusyError),
    ("Node is busy", BusyError),
    ("Unauthorized Request", AuthError),
    ("insufficient permission", AuthError),
    ("Invalid credential", AuthError),
    ("Expired credential", AuthError),
    ("Access from host not allowed", AuthError),
    ("client is not allowed/trusted", AuthError),
    ("Syntax error", BadConfigError),
    ("cannot locate attribute", BadConfigError),
    ("Undefined attribute", BadConfigError),
    ("Unknown node-attribute", BadConfigError),
    ("Illegal attribute or resource value", BadConfigError),
    ("Illegal value for", BadConfigError),
    ("Unknown/illegal signal name", BadConfigError),
    ("usage:", BadConfigError),
)
"""Seen with 6.1.3 and 4.2.10, or in ``pbs_error_db.h``; the first that occurs in the complaint counts."""

_GONE = (NotFoundError,)
_NO_NODES = ("Server has no node list", "No nodes found")
_DELETED_ALL_THE_SAME = "The node has been deleted"


class UnresolvedError(TransientError):
    """The server's host cannot look up a name, which may be known there in a moment."""


def meaning(said: str) -> type[DynamicClusterError]:
    """The error class for a complaint of one of Torque's programs."""
    return next((kind for words, kind in _MEANINGS if words in said), DynamicClusterError)


class TorqueCalls:
    """Runs ``qstat``, ``pbsnodes``, ``qmgr``, ``qrerun``, ``qdel`` and ``qsig``."""

    def __init__(
        self,
        runner: Runner,
        commands: Commands,
        *,
        timeout_s: float,
        job_options: Sequence[tuple[str, ...]],
        job_options_refused: Sequence[str],
        node_options: tuple[str, ...],
        one_node_options: tuple[str, ...],
    ) -> None:
        self._runner = runner
        self._commands = commands
        self._timeout_s = timeout_s
        self._node_options = node_options
        self._one_node_options = one_node_options
        self._qstat = qstat_with(commands.qstat, job_options, job_options_refused)
        self._qstat_program = program(commands.qstat)
        self._never_silent = False  # whether an empty queue is not an empty text

    # -- questions: one that fails has changed nothing, so it is never of unknown outcome ------------------------

    def ask_jobs(self) -> str:
        """The queue.

        :raises TransientError: nothing was printed, though this server prints something of an empty queue, too.
        """
        text = self._ask(self._qstat)
        if text.lstrip().startswith("<?xml"):
            self._never_silent = True  # 6.1 has a prologue; 4.2, which prints nothing at all, has none (recorded)
        elif self._never_silent and not text.strip():
            raise TransientError(f"qstat printed nothing ({self._qstat[0]})")
        return text

    def ask_queues(self) -> str | None:
        """``None`` if the configured command cannot be asked for queues."""
        return self._ask([*self._qstat_program, "-Q", "-f"]) if self._qstat_program else None

    def ask_nodes(self, host_name: str = "") -> str:
        """All nodes or one; nothing where the server has none, which it says with a return code.

        :raises NotFoundError: there is no such node.
        """
        options = self._one_node_options if host_name else self._node_options
        argv = filled(self._commands.pbsnodes, options, host_name)
        try:
            text = self._ask(argv)
        except DynamicClusterError as error:
            if not host_name and any(words in str(error) for words in _NO_NODES):
                return ""
            raise
        if not text.strip():
            raise TransientError(f"pbsnodes printed nothing ({argv[0]})")
        return text

    # -- changes ------------------------------------------------------------------------------------------------

    def create(self, host_name: str) -> None:
        """:raises UnresolvedError: the server's host cannot look up the name (now)."""
        said = self._tell("qmgr", filled(self._commands.add_node, host_name))
        if not said or "Node name already exists" in said:
            return
        if "Unknown node" in said and "node-attribute" not in said:
            raise UnresolvedError(f"pbs_server cannot resolve the name {host_name}: {said}")
        raise meaning(said)(f"create node: {said}")

    def delete(self, host_name: str) -> None:
        """The node must be empty: otherwise the server blocks for minutes and ends what runs there."""
        said = self._tell("qmgr", filled(self._commands.remove_node, host_name))
        if said and _DELETED_ALL_THE_SAME not in said and meaning(said) is not NotFoundError:
            raise meaning(said)(f"delete node: {said}")

    def set_node(self, host_name: str, attribute: str, operator: str, value: str) -> None:
        self._do("qmgr", filled(self._commands.set_node, host_name, attribute, (operator,), value))

    def mark_node(self, options: tuple[str, ...], host_name: str) -> None:
        """``pbsnodes`` with these options. It reports errors with return code 0."""
        self._do("pbsnodes", filled(self._commands.pbsnodes, options, host_name))

    def requeue(self, job_id: str, *, dead: bool) -> None:
        """:raises BusyError: this job may not be rerun, or is in no state for it."""
        self._about_job("qrerun", filled(self._commands.requeue_job, ("-f",) if dead else "", job_id))

    def delete_job(self, job_id: str) -> None:
        self._about_job("qdel", filled(self._commands.delete_job, job_id))

    def signal_job(self, job_id: str, signal: str) -> None:
        self._about_job("qsig", filled(self._commands.signal_job, signal, job_id))

    def _about_job(self, what: str, argv: Sequence[str]) -> None:
        """A job that is gone is success."""
        said = self._tell(what, argv)
        if said and meaning(said) not in _GONE:
            raise meaning(said)(f"{what}: {said}")

    def _do(self, what: str, argv: Sequence[str]) -> None:
        said = self._tell(what, argv)
        if said:
            raise meaning(said)(f"{what}: {said}")

    def _tell(self, what: str, argv: Sequence[str]) -> str:
        """Have something changed; the complaint, "" for none. Some programs complain with return code 0."""
        completed = self._run(argv)
        if completed.returncode == 0 and not any(
            line.lstrip().startswith(("Error ", f"{what}:", f"{what} obj=")) for line in completed.stderr.splitlines()
        ):
            return ""
        return completed.complaint

    def _ask(self, argv: Sequence[str]) -> str:
        try:
            completed = self._run(argv)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error
        if completed.returncode != 0:
            kind = meaning(completed.complaint)
            raise (TransientError if kind is DynamicClusterError else kind)(f"{argv[0]}: {completed.complaint}")
        return completed.stdout

    def _run(self, argv: Sequence[str]) -> Completed:
        return self._runner.run(argv, timeout_s=self._timeout_s)
