"""The contract of a scheduler adapter.

An adapter is thin and dull: it calls, translates words and errors, returns. It has no retries, no sleeping, no
policy and no state that matters (caches of constants are fine). Parsing stands in a separate pure module.
Methods are synchronous and run in a thread; each must return or raise within the time limits of its own
commands. Every failure is raised as one of :mod:`dynamiccluster.errors`, mapped once, ``raise ... from``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from dynamiccluster.model.host import Host
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView


class Scheduler(Protocol):
    """One batch scheduler. ``tests/contract/scheduler_suite.py`` is this text as a test."""

    def poll(self) -> SchedulerView:
        """A complete view of jobs and hosts, in a constant number of commands, never one per node or job.

        The host list is read first and the job list second: a job that starts in between makes a host look
        busier than it is, which is the cheap mistake. ``started_at`` is taken before the first command,
        ``completed_at`` after the last, both from the adapter's clock.
        One odd job or host is left out with a sentence in ``dropped``; an output that cannot be understood as
        a whole, was cut off, or came with a non-zero exit code raises (an empty queue is not a failed query).
        Hosts that only stand for a shape have ``template=True``. ``Host.hold.ours`` is true for marks that
        begin with ``dynamiccluster:CLUSTER_ID:``.
        """
        ...

    def declare(self, resources: Sequence[Resource]) -> None:
        """Make the scheduler accept jobs of every shape these resources can give, though no such node exists yet.

        Called at start, after a reload, and again when it failed; repeating it changes nothing. Shapes that are
        no longer wanted may stay. Schedulers that accept any shape do nothing.
        """
        ...

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        """Make the scheduler know a new host. Success if it is known already with these attributes.

        A host left over under this name with other attributes is corrected. After it the host may be listed
        as ``JOINING`` until its daemon reports in.
        """
        ...

    def hold(self, host_name: str, mark: str) -> None:
        """Keep new jobs away from a host; its running jobs go on. When it returns, the scheduler has acknowledged.

        Success if it already carries this mark. A host that somebody else holds raises
        :class:`~dynamiccluster.errors.BusyError` and keeps the other mark. Unknown host:
        :class:`~dynamiccluster.errors.NotFoundError`.
        """
        ...

    def release(self, host_name: str, mark: str) -> None:
        """Undo our hold. Success if it is not held; another's mark is left alone (``BusyError``)."""
        ...

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        """Send these jobs of a held, living host back to the queue, without a penalty wait where that can be had.

        Jobs that are not there any more, or run elsewhere by now, are success and left alone; jobs that may not be
        rerun are left running.
        """
        ...

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        """Free the scheduler from the jobs of a *dead* host: requeue what may be rerun, or delete, as told.

        The scheduler may have requeued some by itself, and started them elsewhere: only those that are *still* on
        this host are touched.
        """
        ...

    def remove(self, host_name: str) -> None:
        """Take a host out of the scheduler, with everything that refers to it.

        Jobs on it: :class:`~dynamiccluster.errors.BusyError`, and nothing has changed. Not known: success.
        Must not harm other hosts or jobs. Must not remove a shape that waiting jobs need.
        """
        ...

    def unstick(self, job_ids: Sequence[str]) -> None:
        """Give jobs marked ``stuck`` back to the scheduler's attention. Vanished jobs are success."""
        ...

    def find(self, host_name: str) -> Host | None:
        """One host for a person's question; ``None`` if it is not known. Not used in polls."""
        ...


@runtime_checkable
class PowerSaving(Protocol):
    """What a scheduler can besides that switches hosts on and off by itself, for resources that it provisions.

    Such a host always stands in its list, with what it wants as ``Host.power``; :meth:`Scheduler.add` only says where
    its machine is, and :meth:`Scheduler.remove` switches it off and withdraws it.
    """

    def withdraw(self, host_names: Sequence[str], mark: str) -> None:
        """Give these hosts to no job until they are offered again. Jobs that wait for their machines go back to the
        queue at once, and such hosts are switched off.

        A job that *runs* on one of them: :class:`~dynamiccluster.errors.BusyError`, and it goes on. Somebody else's
        hold is left alone. A host that is being switched off may lose the mark on the way: the next view shows it.
        """
        ...

    def offer(self, host_names: Sequence[str]) -> None:
        """Let these hosts, which are off, be given to jobs again: undo :meth:`withdraw`, and the scheduler's own
        judgement of their last machines. Hosts that are not off (any more), or held by somebody else: nothing."""
        ...


@runtime_checkable
class TellsReasons(Protocol):
    """What a scheduler can besides whose queue shows a text of an administrator's beside each job."""

    def tell_reason(self, text: str, job_ids: Sequence[str]) -> None:
        """Write ``text`` (one line; "" takes it away) where the owners of these jobs see it. Vanished jobs are success.

        Polls then show it as ``Job.comment``. Called with a few hundred jobs at most, and only for jobs that have no
        text, or one of ours.
        """
        ...
