"""Every line of OpenLava's recording is replayed on the double, or listed here with the reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsf_situations import (
    added,
    array_limited,
    closed,
    cloud_node,
    full,
    grown,
    half_started,
    load_at_first,
    lost,
    master_down,
    removed,
    twice_closed,
)
from replay import Case, index, masked, recorded, replay, through
from torque_situations import RECORDED

from dynamiccluster.testing.lsf_double.main import DAEMONS, NAMES
from dynamiccluster.testing.stand_in.place import Place, State
from dynamiccluster.testing.stand_in.programs import install

unwrapped = masked(r"\s+", "")
"""Long lines were broken before their paths were shortened: where they break there says nothing."""

CASES: dict[str, Case] = {
    "s1_bsub_too_many_procs_error.txt": Case(full),
    "s1_bsub_unknown_queue_error.txt": Case(full),
    "s1_bsub_unknown_host_error.txt": Case(full),
    "s1_bsub_ok.txt": Case(lambda: full(with_ok=False)),
    "s1_lsid.txt": Case(full),
    "s1_bjobs_u_all_w.txt": Case(full),
    "s1_bjobs_u_all_wp.txt": Case(lambda: full(new=True)),
    "s1_bjobs_u_all_l.txt": Case(full, (unwrapped,)),
    "s1_bjobs_u_all_a.txt": Case(full),
    "s1_bjobs_pl.txt": Case(full),
    "s1_bjobs_o_unsupported.txt": Case(full),
    "s1_bjobs_UF.txt": Case(full),
    "s1_bjobs_none.txt": Case(full),
    "s1_bhosts.txt": Case(full),
    "s1_bhosts_w.txt": Case(full),
    "s1_bhosts_l.txt": Case(load_at_first),
    "s1_lshosts.txt": Case(full),
    "s1_lshosts_w.txt": Case(full),
    "s1_lshosts_l.txt": Case(full),
    "s1_lsload.txt": Case(full),
    "s1_lsload_l.txt": Case(full),
    "s1_bqueues.txt": Case(full),
    "s1_bqueues_l.txt": Case(full),
    "s1_busers_all.txt": Case(full),
    "s1_lsinfo.txt": Case(full),
    "s1_bjobs_unknown.txt": Case(full),
    "s1_bhosts_unknown.txt": Case(full),
    "s1_bjobs_A.txt": Case(full),
    "s2_bjobs_wp_free_slots.txt": Case(array_limited),
    "s2_bjobs_l_105_resreq.txt": Case(array_limited),
    "s2_bjobs_l_107_memreq.txt": Case(array_limited),
    "s2_bjobs_l_done_exit.txt": Case(array_limited, (unwrapped,)),
    "s3_lsaddhost_cn02.txt": Case(array_limited),
    "s3_lsaddhost_cn02_again.txt": Case(added("cn02")),
    "s3_lsaddhost_as_user.txt": Case(added("cn02")),
    "s3_lsaddhost_unresolvable.txt": Case(added("cn02", "cn03")),
    "s3_lshosts_after_add.txt": Case(added("cn02", "cn03")),
    "s3_bhosts_after_add.txt": Case(added("cn02", "cn03")),
    "s3_lsload_after_start.txt": Case(half_started),
    "s3_bhosts_after_start.txt": Case(half_started),
    "s3_bjobs_after_start.txt": Case(half_started),
    "s4_bjobs_after_cloud_node.txt": Case(cloud_node()),
    "s4_bjobs_wp.txt": Case(cloud_node()),
    "s4_bjobs_l_105_resreq.txt": Case(cloud_node()),
    "s4_bjobs_pl_107_memreq.txt": Case(cloud_node()),
    "s4_lshosts.txt": Case(cloud_node()),
    "s4_badmin_hclose.txt": Case(cloud_node()),
    "s4_badmin_hclose_C.txt": Case(cloud_node(closed="x")),
    "s4_bhosts_w_hclosed.txt": Case(cloud_node(closed="hpcx draining")),
    "s4_bhosts_l_hclosed.txt": Case(cloud_node(closed="hpcx draining")),
    "s4_badmin_hclose_as_user.txt": Case(cloud_node()),
    "s4_badmin_hclose_unknown.txt": Case(cloud_node()),
    "s4_badmin_hist.txt": Case(twice_closed),
    "s4_lsrmhost_busy.txt": Case(cloud_node()),
    "s4_bhosts_after_rm_busy.txt": Case(cloud_node(cn02=False)),
    "s4_bjobs_after_rm_busy.txt": Case(cloud_node(cn02=False)),
    "s4_lsrmhost_static.txt": Case(cloud_node()),
    "s4_lsrmhost_as_user.txt": Case(cloud_node()),
    "s4_lsrmhost_unknown.txt": Case(cloud_node()),
    "s4_lshosts_after_rm.txt": Case(cloud_node(cn02=False, cn03=False)),
    "s4_bhosts_after_rm.txt": Case(cloud_node(cn02=False)),
    "s5_lsaddhost_cn02.txt": Case(cloud_node(cn02=False, cn03=False)),
    "s5_lsload.txt": Case(grown()),
    "s5_lshosts.txt": Case(grown()),
    "s5_bhosts_w.txt": Case(grown(idle=True)),
    "s5_bjobs_w.txt": Case(grown()),
    "s5_bjobs_wp.txt": Case(grown()),
    "s5_bjobs_UF.txt": Case(grown()),
    "s5_bjobs_UF_l.txt": Case(grown()),
    "s5_bjobs_WL_WP_WF.txt": Case(grown()),
    "s6_hclose_busy.txt": Case(grown()),
    "s6_bhosts_w_drain.txt": Case(closed),
    "s6_bhosts_l_drain.txt": Case(closed),
    "s6_bhosts_w_lost.txt": Case(lost),
    "s6_lsload_lost.txt": Case(lost),
    "s6_bjobs_w_lost.txt": Case(lost),
    "s6_lsrmhost_with_job.txt": Case(lost),
    "s6_bhosts_w_after_rm.txt": Case(removed),
    "s6_bjobs_w_after_rm.txt": Case(removed),
    "s6_bjobs_l_after_rm.txt": Case(removed, (unwrapped,)),
    "s8_badmin_reconfig.txt": Case(grown()),
    "s8_bhist_l.txt": Case(removed, (unwrapped,)),
    "s9_bjobs_mbatchd_down_timeout10.txt": Case(master_down("mbatchd")),
    "s9_lsload_lim_down.txt": Case(master_down("lim")),
    "s9_bhosts_lim_down.txt": Case(master_down("lim")),
}

_ESUB = "esub is a program of the site that bsub runs; the double has none"

NOT_REPLAYED: dict[str, str] = {
    "s1_bparams_l.txt": "parameters of the batch system matter to nobody here",
    "s1_bmgroup.txt": "the double has no host groups",
    "s7_bsub_with_esub.txt": _ESUB,
    "s7_bsub_esub_reject.txt": _ESUB,
    "s7_bjobs_l_esub.txt": _ESUB,
    "s8_lsadmin_reconfig.txt": "it only asks whether to restart LIMs",
}
"""Lines of the recording that are not replayed, each with its reason."""

TIMEOUT = '#!/bin/sh\nshift\nexec /usr/bin/timeout 4 "$@"\n'
"""``timeout`` in a command line: four seconds are as good as ten for a command that never ends."""


def place_of(tmp_path: Path, state: State) -> Place:
    place = Place(str(tmp_path))
    install(place, "dynamiccluster.testing.lsf_double.main", (*NAMES, *DAEMONS))
    (tmp_path / "bin" / "timeout").write_text(TIMEOUT)
    (tmp_path / "bin" / "timeout").chmod(0o755)
    place.set_faults(state.pop("fault", {}))
    place.write_state(state)
    place.set_clock(state["now"])
    known = [f"10.80.0.{at} {name}" for at, name in enumerate(("hn01", "cn01", "cn02", "cn03"), 1)]
    (tmp_path / "hosts").write_text("\n".join(known) + "\n")
    return place


@pytest.mark.parametrize("file", CASES)
def test_as_recorded(tmp_path: Path, file: str) -> None:
    (line,) = [line for line in index(RECORDED / "openlava") if line.file == file]
    case = CASES[file]
    place = place_of(tmp_path, case.situation())
    home = tmp_path / "home"
    home.mkdir()
    out, err, code = replay(place, line, home)
    wanted_out, wanted_err = recorded(RECORDED / "openlava", line)
    assert through(case.rules, out) == through(case.rules, wanted_out)
    assert through(case.rules, err) == through(case.rules, wanted_err)
    assert code == line.code


def test_nothing_recorded_is_overlooked() -> None:
    lines = {line.file for line in index(RECORDED / "openlava")}
    assert lines == set(CASES) | set(NOT_REPLAYED)
    assert not set(CASES) & set(NOT_REPLAYED)
    assert len(CASES) > 80
