"""The simulated batch queue: jobs wait, start on hosts with room, end, and are requeued when a host is lost."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from dynamiccluster.embedded.agenda import Agenda
from dynamiccluster.embedded.hosts import BatchHost, HostAttributes, place
from dynamiccluster.embedded.jobs import BatchJob, Cause, Interruption, JobRequest
from dynamiccluster.embedded.rules import Daemon, QueueRules
from dynamiccluster.errors import BusyError, NotFoundError
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState, Wait


class BatchQueue:
    """One scheduler. Starts jobs by priority on hosts that are up and not held; smaller ones may pass a blocked one."""

    def __init__(self, agenda: Agenda, rules: QueueRules) -> None:
        self.agenda = agenda
        self.rules = rules
        self.jobs: dict[str, BatchJob] = {}  # listed: not ended, or ended a short while ago
        self.ended: dict[str, BatchJob] = {}  # ended or deleted for good, for the account
        self.hosts: dict[str, BatchHost] = {}
        self.daemons: dict[str, Daemon] = {}  # by host name: running, whether or not the host is known
        self.interruptions: list[Interruption] = []
        self.version = 0  # grows with every visible change
        self._line: list[tuple[tuple[float, float, int], str]] = []
        self._submitted: list[str] = []
        self._pass_due = False

    # -- jobs -------------------------------------------------------------------------------------------------

    def submit(self, request: JobRequest) -> str:
        """Take a job in and return its id."""
        now = self.agenda.now
        serial = len(self._submitted) + 1
        job = BatchJob(str(serial), serial, request, now, tasks=request.tasks, eligible_at=now + request.begin_in_s)
        if 0 < request.follows <= len(self._submitted):
            job.after = self._submitted[-request.follows]
        if request.held_s > 0:
            job.held = True
            self.agenda.after(request.held_s, partial(self._let_go, job))
        if request.begin_in_s > 0:
            self.agenda.after(request.begin_in_s, self._news)
        self._submitted.append(job.job_id)
        self.jobs[job.job_id] = job
        self._wait(job)
        return job.job_id

    def requeue(self, job_ids: Sequence[str], cause: Cause) -> None:
        """Send running jobs back to the queue; those that are not there or may not be rerun are left as they are."""
        for job_id in job_ids:
            job = self.jobs.get(job_id)
            if job is not None and job.state is JobState.RUNNING and job.request.rerunnable:
                self._interrupt(job, cause)
                self._back_to_line(job)

    def delete(self, job_ids: Sequence[str], cause: Cause = Cause.DELETED) -> None:
        """End these jobs for good, wherever they are."""
        for job_id in job_ids:
            job = self.jobs.get(job_id)
            if job is None or job_id in self.ended:
                continue
            if job.placement:
                self._interrupt(job, cause)
                self._leave_hosts(job)
            else:
                self._leave_line(job)
            job.deleted = True
            self._end(job)

    def stick(self, job_id: str) -> None:
        """Let the scheduler give up on a waiting job until somebody releases it."""
        job = self.jobs.get(job_id)
        if job is not None and job.state is JobState.PENDING:
            job.stuck, job.reason = True, "BadConstraints"
            self._shown(job)

    def unstick(self, job_ids: Sequence[str]) -> None:
        for job_id in job_ids:
            job = self.jobs.get(job_id)
            if job is not None and job.stuck:
                job.stuck, job.reason, job.wait = False, "None", Wait.NOT_YET
                self._shown(job)
                self._news()

    # -- hosts ------------------------------------------------------------------------------------------------

    def add_host(self, name: str, address: str, attributes: HostAttributes, physical: bool = False) -> None:
        """Make a host known, or correct one that is. It is JOINING until a daemon answers under its name."""
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = BatchHost(name, attributes, address, physical)
            if name in self.daemons:
                self.agenda.after(1.0, partial(self._register, name))
        elif not host.runs:
            host.attributes = self._really(name, attributes)
        host.address = address or host.address
        self._host_shown(host)

    def remove_host(self, name: str) -> None:
        """Forget a host; refused while jobs are on it."""
        host = self.hosts.get(name)
        if host is None:
            return
        if host.runs:
            raise BusyError(f"{name} has {len(host.runs)} job(s)")
        del self.hosts[name]
        self.version += 1

    def hold(self, name: str, mark: str) -> None:
        host = self._known(name)
        if host.mark == mark:
            return
        if host.mark:
            raise BusyError(f"{name} is held by somebody else: {host.mark}")
        host.mark, host.held_at = mark, self.agenda.now
        self._host_shown(host)

    def acknowledged(self, name: str) -> None:
        """Somebody has been told that his hold of this host is in force: from now on lists show all that runs there."""
        host = self.hosts.get(name)
        for job_id in host.runs if host is not None else ():
            self._reveal(self.jobs[job_id])

    def release(self, name: str, mark: str) -> None:
        host = self._known(name)
        if not host.mark:
            return
        if host.mark != mark:
            raise BusyError(f"{name} is held by somebody else: {host.mark}")
        host.mark = ""
        self._host_shown(host)
        self._news()

    def daemon_up(self, name: str, daemon: Daemon) -> None:
        """The daemon of a machine with this host name has started and reports in."""
        if name in self.daemons:
            return  # another machine answers under this name already
        self.daemons[name] = daemon
        self._register(name)

    def daemon_lost(self, name: str, machine_id: str, cause: Cause) -> None:
        """The machine is dead: what ran there has ended, though the scheduler does not know it yet."""
        daemon = self.daemons.get(name)
        if daemon is None or daemon.machine_id != machine_id:
            return
        del self.daemons[name]
        host = self.hosts.get(name)
        if host is None or host.machine_id != machine_id:
            return
        for job_id in host.runs:
            job = self.jobs[job_id]
            if job.state is JobState.RUNNING:
                self._interrupt(job, cause, host)
                job.run_serial += 1  # it will never end by itself now
        host.machine_id = ""
        self._fall_silent(host)

    def daemon_silent(self, name: str, for_s: float) -> None:
        """The daemon does not answer for a while; its jobs go on."""
        host = self.hosts.get(name)
        if host is None or not host.machine_id or host.silent_since is not None:
            return
        self._fall_silent(host)
        self.agenda.after(for_s, partial(self._answer_again, host, host.machine_id))

    # -- inner life -------------------------------------------------------------------------------------------

    def _known(self, name: str) -> BatchHost:
        host = self.hosts.get(name)
        if host is None:
            raise NotFoundError(f"no host {name!r}")
        return host

    def _really(self, name: str, told: HostAttributes) -> HostAttributes:
        """What the daemon finds of what the scheduler was told; nothing is corrected before it is registered."""
        host, daemon = self.hosts.get(name), self.daemons.get(name)
        if daemon is None or host is None or not host.machine_id:
            return told
        memory_mib = int(told.capacity.memory_mib * daemon.memory_share)
        return replace(told, capacity=replace(told.capacity, memory_mib=memory_mib))

    def _shown(self, job: BatchJob) -> None:
        job.picture = None
        self.version += 1

    def _host_shown(self, host: BatchHost) -> None:
        host.picture = None
        self.version += 1

    def _news(self) -> None:
        if not self._pass_due:
            self._pass_due = True
            self.agenda.after(self.rules.pass_s, self.schedule_now)

    def _reveal(self, job: BatchJob) -> None:
        if job.hidden:
            job.hidden = False
            self._shown(job)
            for name in job.placement:
                if name in self.hosts:
                    self.hosts[name].picture = None

    def _wait(self, job: BatchJob) -> None:
        insort(self._line, (job.order, job.job_id))
        self._shown(job)
        self._news()

    def _leave_line(self, job: BatchJob) -> None:
        self._line = [entry for entry in self._line if entry[1] != job.job_id]

    def _let_go(self, job: BatchJob) -> None:
        job.held = False
        self._shown(job)
        self._news()

    def _register(self, name: str) -> None:
        host, daemon = self.hosts.get(name), self.daemons.get(name)
        if host is None or daemon is None or host.machine_id:
            return
        if host.silent_since is not None and host.runs:
            return  # the old machine's jobs must be cleared first
        host.machine_id, host.deaf = daemon.machine_id, daemon.deaf
        host.attributes = self._really(name, host.attributes)
        host.state, host.silent_since = HostState.UP, None
        host.silence += 1
        self._host_shown(host)
        self._news()

    def _fall_silent(self, host: BatchHost) -> None:
        if host.silent_since is not None:
            return
        host.silent_since = self.agenda.now
        host.silence += 1
        if host.state is HostState.UP:
            self.agenda.after(self.rules.notice_s / 4, partial(self._notice, host, host.silence, HostState.UNKNOWN))
            self.agenda.after(self.rules.notice_s, partial(self._notice, host, host.silence, HostState.DOWN))

    def _notice(self, host: BatchHost, silence: int, state: HostState) -> None:
        if host.silence != silence or host.silent_since is None:
            return
        host.state = state
        self._host_shown(host)
        if state is HostState.DOWN and self.rules.requeue_on_death:
            for job_id in list(host.runs):
                job = self.jobs[job_id]
                if job.request.rerunnable:
                    self.requeue([job_id], Cause.NODE_LOST)
                else:
                    self.delete([job_id], Cause.NODE_LOST)
            self._register(host.name)

    def _answer_again(self, host: BatchHost, machine_id: str) -> None:
        if host.machine_id == machine_id and host.silent_since is not None:
            host.silent_since = None
            host.silence += 1
            host.state = HostState.UP
            self._host_shown(host)
            self._news()

    def _interrupt(self, job: BatchJob, cause: Cause, host: BatchHost | None = None) -> None:
        """Enter the end of this run into the account, once: what a lost machine ended is not ended again."""
        if job.interruptions and job.interruptions[-1].at >= job.started_at:
            return
        if host is None:
            hosts = [self.hosts[name] for name in job.placement if name in self.hosts]
            host = next((each for each in hosts if not each.machine_id), hosts[0] if hosts else None)
        now = self.agenda.now
        silent_s = now - host.silent_since if host and host.silent_since is not None else 0.0
        name, resource = (host.name, host.attributes.resource) if host else ("", "")
        entry = Interruption(
            now, job.job_id, name, resource, cause, bool(host and host.machine_id), silent_s, tuple(job.placement)
        )
        job.interruptions.append(entry)
        self.interruptions.append(entry)

    def _leave_hosts(self, job: BatchJob) -> None:
        for name in job.placement:
            host = self.hosts.get(name)
            if host is not None:
                host.free(job.job_id)
        job.placement = {}
        job.hidden = False
        job.run_serial += 1
        record = self.jobs.get(job.array_id)
        if record is not None:
            record.running_tasks -= 1
            self._shown(record)
        self._shown(job)
        self._news()

    def _back_to_line(self, job: BatchJob) -> None:
        self._leave_hosts(job)
        job.state, job.reason, job.wait = JobState.PENDING, "None", Wait.NOT_YET
        job.eligible_at = self.agenda.now + 2 * self.rules.pass_s
        self.agenda.after(2 * self.rules.pass_s, self._news)
        self._wait(job)

    # -- scheduling -------------------------------------------------------------------------------------------

    def schedule_now(self) -> None:
        """Make a scheduling pass."""
        self._pass_due = False
        free = [host for host in self.hosts.values() if host.available]
        free.sort(key=lambda host: -host.used.cores)  # fill hosts that are in use, so that others can leave
        blocked: set[int] = set()
        line, self._line = self._line, []
        for order, job_id in line:
            job = self.jobs[job_id]
            self._serve(job, free, blocked)
            if job.state is JobState.PENDING and job.tasks > 0:
                self._line.append((order, job_id))

    def _serve(self, job: BatchJob, free: list[BatchHost], blocked: set[int]) -> None:
        shape = job.request.shape
        wait, reason = self._obstacle(job)
        while not reason:
            if id(shape) in blocked:
                wait, reason = Wait.HELPS, "Priority"
                break
            placement = place(shape, free)
            if placement is None:
                wait, reason = Wait.HELPS, "Resources" if not blocked else "Priority"
                blocked.add(id(shape))
                break
            self._start(job, placement)
            if job.state is not JobState.PENDING or job.tasks == 0:
                return
            wait, reason = self._obstacle(job)
        if (wait, reason) != (job.wait, job.reason):
            job.wait, job.reason = wait, reason
            self._shown(job)

    def _obstacle(self, job: BatchJob) -> tuple[Wait, str]:
        """What keeps a job from starting besides room; an empty reason = nothing."""
        if job.held:
            return Wait.NO, "JobHeldUser"
        if job.after and job.after not in self.ended:
            return Wait.NO, "Dependency"
        if job.stuck:
            return Wait.HELPS, "BadConstraints"
        if job.eligible_at > self.agenda.now:
            return Wait.NOT_YET, "BeginTime"
        if job.request.throttle and self.jobs.get(job.array_id, job).running_tasks >= job.request.throttle:
            return Wait.NOT_YET, "JobArrayTaskLimit"
        return Wait.HELPS, ""

    def _start(self, job: BatchJob, placement: list[tuple[BatchHost, int]]) -> None:
        if job.request.tasks > 1 and not job.array_id:
            job = job.split_task()
            self.jobs[job.job_id] = job
        now = self.agenda.now
        job.state, job.reason, job.started_at = JobState.RUNNING, "", now
        job.starts += 1
        job.run_serial += 1
        shape = job.request.shape
        for host, pieces in placement:
            job.placement[host.name] = pieces
            host.occupy(job.job_id, host.use_of(shape, pieces), shape.exclusive)
        if self.rules.show_s > 0:
            job.hidden = True
            self.agenda.after(self.rules.show_s, partial(self._reveal, job))
        self._shown(job)
        record = self.jobs.get(job.array_id)
        if record is not None:
            record.running_tasks += 1
            self._shown(record)
        if all(host.machine_id for host, _ in placement):  # else it hangs until somebody notices the dead host
            self.agenda.at(now + job.request.run_s, partial(self._run_out, job, job.run_serial))

    def _run_out(self, job: BatchJob, run_serial: int) -> None:
        if job.run_serial == run_serial and job.state is JobState.RUNNING:
            job.state = JobState.COMPLETING
            self._shown(job)
            self.agenda.after(self.rules.epilog_s, partial(self._complete, job))

    def _complete(self, job: BatchJob) -> None:
        if job.state is JobState.COMPLETING:
            self._leave_hosts(job)
            self._end(job)

    def _end(self, job: BatchJob) -> None:
        job.state, job.ended_at = JobState.DONE, self.agenda.now
        self.ended[job.job_id] = job
        self._shown(job)
        self._news()
        self.agenda.after(self.rules.listed_s, partial(self._unlist, job))
        record = self.jobs.get(job.array_id)
        if record is not None and record.tasks == 0 and record.job_id not in self.ended:
            siblings = (each for each in self.jobs.values() if each.array_id == record.job_id)
            if all(each.job_id in self.ended for each in siblings):
                self._end(record)

    def _unlist(self, job: BatchJob) -> None:
        self.jobs.pop(job.job_id, None)
        self.version += 1
