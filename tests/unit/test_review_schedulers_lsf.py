"""What could make LSF's adapter take a host with jobs away, touch jobs elsewhere, or believe half a list."""

from __future__ import annotations

import json

import pytest
from fake_lsf import LSF, FakeLsf, adapter

from dynamiccluster.errors import BusyError, DynamicClusterError, TransientError
from dynamiccluster.kit.runner import Completed
from dynamiccluster.schedulers.lsf.json_parse import read_records
from dynamiccluster.testing.runner import Call

JOBS = [str(number) for number in range(1, 121)]


def listed(job_id: str, host: str, index: str = "-") -> dict[str, str]:
    """A running job in the documented JSON."""
    blank = dict.fromkeys(("EFFECTIVE_RESREQ", "RUNTIMELIMIT", "SUBMIT_TIME", "START_TIME", "PEND_REASON"), "-")
    own = {"JOBID": job_id, "JOBINDEX": index, "STAT": "RUN", "USER": "u", "QUEUE": "q", "PROJ_NAME": "p"}
    return blank | own | {"JOB_NAME": "x", "NREQ_SLOT": "1", "EXEC_HOST": host}


# -- removal -------------------------------------------------------------------------------------------


def test_a_host_is_not_removed_while_the_list_does_not_show_it_closed() -> None:
    """LSF 10.1 answers from a copy that is some seconds old: a job that has begun since is not in it."""
    lsf = FakeLsf()
    host = lsf.host("small-1")
    lsf.runner.on(["badmin", "hclose"], "", stderr="Close <small-1> ...... done\n")
    scheduler = adapter(lsf)
    with pytest.raises(TransientError, match="closed"):
        scheduler.remove("small-1")
    host.status, host.message, host.jobs = "closed_Adm", lsf.changes()[0][3], 1  # the copy has been renewed
    with pytest.raises(BusyError):
        scheduler.remove("small-1")
    assert (host.status, host.message) == ("ok", "")
    assert "lsrmhost" not in lsf.programs()


def test_a_host_that_a_list_lacks_is_asked_for_by_name_before_it_is_removed() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=2)
    lsf.host("small-2")
    whole = lsf.runner.run

    def shortened(call: Call) -> Completed:
        said = lsf._run(call)
        assert isinstance(said, str)
        return Completed(call.argv, 0, said[said.index("HOST  small-2") :], "", 0.0)

    lsf.runner.on(lambda argv: argv == ("bhosts", "-l"), shortened)
    assert whole(("bhosts", "-l"), timeout_s=1.0).stdout.startswith("HOST  small-2")
    with pytest.raises(BusyError, match="small-1"):
        adapter(lsf).remove("small-1")
    assert "lsrmhost" not in lsf.programs()


def test_a_host_that_the_lim_does_not_list_is_closed_all_the_same() -> None:
    """Its list may be short, and mbatchd still gives the host jobs."""
    lsf = FakeLsf()
    lsf.host("small-1", in_lim=False)
    lsf.sneaky = "small-1"
    with pytest.raises(BusyError):
        adapter(lsf).remove("small-1")


# -- jobs elsewhere ------------------------------------------------------------------------------------


def test_the_number_of_a_whole_array_is_never_told_to_be_requeued() -> None:
    """A version that does not tell the index shows each element as the array, and ``brequeue`` takes all of them."""
    lsf = FakeLsf()
    lsf.host("small-1", jobs=1)
    head = "JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME\n"
    rows = (f"108     bob     RUN   normal     hn01        small-{n}     arr[{n}]     Nov 20 06:54\n" for n in (1, 2))
    lsf.runner.on(["bjobs", "-w", "108"], head + "".join(rows))
    scheduler = adapter(lsf)
    scheduler.vacate("small-1", ["108"])
    scheduler.evacuate("small-1", ["108"], delete_jobs=True)
    assert lsf.told == []


def test_many_jobs_are_looked_up_in_one_list() -> None:
    lsf = FakeLsf(LSF)
    lsf.host("small-1", jobs=4)
    lsf.json_jobs = [listed(job_id, "small-1" if int(job_id) % 2 else "small-2") for job_id in JOBS]
    scheduler = adapter(lsf)
    scheduler.find("small-1")
    before = len(lsf.runner.argvs)
    scheduler.vacate("small-1", JOBS)
    assert [argv[0] for argv in lsf.runner.argvs[before:]] == ["bjobs", "brequeue"]
    assert lsf.told == [("brequeue", *JOBS[::2])]


def test_a_job_that_the_list_has_twice_is_asked_for_by_itself() -> None:
    """One of the two may be the invention of a user."""
    lsf = FakeLsf(LSF)
    lsf.host("small-1", jobs=4)
    lsf.json_jobs = [listed(job_id, "small-1") for job_id in JOBS] + [listed("7", "small-1")]
    lsf.places["7"] = "small-2"
    adapter(lsf).vacate("small-1", JOBS)
    assert "7" not in lsf.told[0]
    assert len(lsf.told[0]) == len(JOBS)


def test_a_command_about_jobs_that_dies_without_a_word_has_failed() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=1)
    lsf.places["1"] = "small-1"
    lsf.runner.on(["brequeue"], returncode=-9)
    with pytest.raises(DynamicClusterError, match="-9"):
        adapter(lsf).vacate("small-1", ["1"])


# -- lists that are not whole --------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "key"), [("bjobs", "JOBS"), ("bhosts", "HOSTS")])
def test_a_list_with_fewer_records_than_it_says_was_cut_off(command: str, key: str) -> None:
    records = [{"JOBID": "1"}, {"JOBID": "2"}]
    whole = json.dumps({"COMMAND": command, key: 2, "RECORDS": records})
    assert len(list(read_records(whole, command))) == 2
    with pytest.raises(ValueError, match="cut off"):
        list(read_records(whole.replace('2, "REC', '3, "REC'), command))


def test_an_absurd_run_limit_costs_its_job_only() -> None:
    lsf = FakeLsf(LSF)
    lsf.json_jobs = [listed("1", "small-1") | {"RUNTIMELIMIT": "1e999"}, listed("2", "small-1")]
    view = adapter(lsf).poll()
    assert [job.job_id for job in view.jobs] == ["2"]
    assert len(view.dropped) == 1
