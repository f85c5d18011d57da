"""Every line of the recordings of Torque and Maui is replayed on the double, or listed here with the reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from maui_situations import (
    bigger,
    both,
    drained,
    first_node,
    grown,
    later,
    lone,
    newest,
    no_columns,
    node_table,
    placeholder_node,
    reserved,
    showing,
    stale,
)
from replay import Case, index, install_sleep, masked, recorded, replay, through
from torque_four_situations import (
    deleted42,
    older,
    orphaned42,
    placeholder42,
    placeholder42_queue,
    running42,
    transit42,
    waiting42,
)
from torque_situations import RECORDED, at, four
from torque_six_situations import (
    S1,
    created,
    draining,
    empty,
    fourth,
    held,
    not_held,
    offered,
    placeholders,
    placeholders_last,
    placeholders_later,
    s1,
    server_down,
    third,
    third_being_deleted,
    third_down,
    third_in_use,
    with_node,
    without,
)

from dynamiccluster.testing.stand_in.place import Place, State
from dynamiccluster.testing.stand_in.programs import install
from dynamiccluster.testing.torque_double import daemons
from dynamiccluster.testing.torque_double.main import NAMES

unwrapped = masked(r"\n\t", "")
no_path = masked(r"(PBS_O_PATH=)[^,]*")
"""The recorded lines were broken before their paths were shortened: where they break there says nothing."""

bash_time = masked(r"(real|user|sys)\t0m[0-9.]+s")
"""How long the double took: its own time is set by hand here."""


CASES: dict[str, Case] = {
    "torque/qmgr_create_node_ok.txt": Case(created),
    "torque/qmgr_create_node_space_separated_attrs_error.txt": Case(without("node02")),
    "torque/qmgr_create_node_comma_attrs.txt": Case(without("node02")),
    "torque/qmgr_create_node_duplicate_error.txt": Case(created),
    "torque/qmgr_create_node_unresolvable_error.txt": Case(created),
    "torque/qmgr_set_node_np.txt": Case(with_node("node03")),
    "torque/qmgr_set_node_properties.txt": Case(with_node("node03")),
    "torque/qmgr_set_node_properties_add.txt": Case(with_node("node03")),
    "torque/qmgr_set_unknown_node_error.txt": Case(created),
    "torque/qmgr_delete_unknown_node_error.txt": Case(created),
    "torque/qmgr_delete_node.txt": Case(with_node("node03")),
    "torque/qmgr_list_node.txt": Case(created),
    "torque/qmgr_print_node.txt": Case(created),
    "torque/qmgr_print_server.txt": Case(created),
    "torque/pbsnodes_x_unknown_node_error.txt": Case(created),
    "torque/qstat_x_empty.txt": Case(empty),
    "torque/version.txt": Case(empty),
    "torque/s1_qstat_x_t.xml": Case(s1()),
    "torque/s1_qstat_x.xml": Case(s1()),
    "torque/s1_qstat_f_x.xml": Case(s1()),
    "torque/s1_qstat_f_t.txt": Case(s1(), (unwrapped, no_path)),
    "torque/s1_qstat_a.txt": Case(s1(S1)),
    "torque/s1_qstat_a_n1.txt": Case(s1(S1)),
    "torque/s1_qstat_i.txt": Case(s1()),
    "torque/s1_qstat_default_as_alice.txt": Case(s1()),
    "torque/s1_qstat_f1.txt": Case(s1(S1 + 1)),
    "torque/s1_qstat_q.txt": Case(s1()),
    "torque/s1_qstat_Q_f.txt": Case(s1()),
    "torque/s1_qstat_B_f.txt": Case(s1()),
    "torque/s1_pbsnodes_x.xml": Case(s1()),
    "torque/s1_pbsnodes_x_node01.xml": Case(s1()),
    "torque/s1_pbsnodes.txt": Case(s1()),
    "torque/s1_pbsnodes_l_all.txt": Case(s1()),
    "torque/qsub_infeasible_3nodes_error.txt": Case(offered(18)),
    "torque/qsub_infeasible_property_error.txt": Case(offered(19)),
    "torque/qsub_infeasible_ppn_error.txt": Case(offered(20)),
    "torque/qsub_bad_queue_error.txt": Case(offered(21)),
    "torque/qsub_walltime_over_queue_max_error.txt": Case(offered(22)),
    "torque/qsub_root_error.txt": Case(offered(23)),
    "torque/qmgr_set_server_nodect.txt": Case(offered(23)),
    "torque/qsub_3nodes_after_server_nodect.txt": Case(offered(23, server=True)),
    "torque/qsub_property_after_server_nodect.txt": Case(offered(24, server=True)),
    "torque/qsub_ppn16_after_server_nodect.txt": Case(offered(25, server=True)),
    "torque/qmgr_set_queue_nodect.txt": Case(offered(26, server=True)),
    "torque/qsub_property_after_queue_nodect.txt": Case(offered(26, queue=True)),
    "torque/qsub_ppn16_after_queue_nodect.txt": Case(offered(27, queue=True)),
    "torque/qsub_50nodes_after_queue_nodect.txt": Case(offered(28, queue=True)),
    "torque/qmgr_set_queue_is_transit.txt": Case(offered(29, queue=True)),
    "torque/qsub_ppn16_after_is_transit.txt": Case(offered(29, transit=True)),
    "torque/qsub_50nodes_after_is_transit.txt": Case(offered(30, transit=True)),
    "torque/qsub_gpu_after_is_transit.txt": Case(offered(31, transit=True)),
    "torque/s2_pbsnodes_offline.txt": Case(s1()),
    "torque/s2_pbsnodes_x_draining_node01.xml": Case(draining),
    "torque/s2_pbsnodes_ln.txt": Case(draining),
    "torque/s2_pbsnodes_clear.txt": Case(draining),
    "torque/s2_pbsnodes_clear_note.txt": Case(draining),
    "torque/s2_pbsnodes_o_unknown.txt": Case(draining),
    "torque/s3_qmgr_create_node03.txt": Case(s1()),
    "torque/s3_pbsnodes_x_node03_just_created.xml": Case(third("just_created")),
    "torque/s3_pbsnodes_x_node03_mom_2s.xml": Case(third("mom_2s")),
    "torque/s3_pbsnodes_x_node03_free.xml": Case(third("free")),
    "torque/s3_qstat_a_n1_after_node03.txt": Case(third_in_use),
    "torque/s3_pbsnodes_x_after_node03.xml": Case(third_in_use),
    "torque/s4_pbsnodes_x_node03_down.xml": Case(third_down),
    "torque/s4_pbsnodes_l_down.txt": Case(third_down),
    "torque/s4_qstat_x_after_down.xml": Case(third_down),
    "torque/s4_momctl_down.txt": Case(third_down),
    "torque/s4_pbsnodes_x_after_delete.xml": Case(third_being_deleted),
    "torque/s5_qdel_vanished_job.txt": Case(held),
    "torque/s5_qdel_vanished_job2.txt": Case(held),
    "torque/s5_qhold_user.txt": Case(not_held),
    "torque/s5_qhold_operator.txt": Case(not_held),
    "torque/s5_qhold_system.txt": Case(not_held),
    "torque/s5_qstat_unknown_job.txt": Case(held),
    "torque/s5_qmgr_create_node04.txt": Case(held),
    "torque/s5_pbsnodes_o_node04.txt": Case(fourth),
    "torque/s5_pbsnodes_x_node04_offline_idle.xml": Case(fourth),
    "torque/s5_qmgr_delete_idle_offline_node.txt": Case(fourth, (bash_time,)),
    "torque/s5_pbsnodes_x_node04_deleted.xml": Case(held),
    "torque/s5_qstat_x_holds_and_completed.xml": Case(held),
    "torque/s5_qstat_a.txt": Case(held),
    "torque/s7_placeholder_create.txt": Case(placeholders),
    "torque/s7_placeholder_create_node03.txt": Case(placeholders),
    "torque/s7_placeholder_offline_node03.txt": Case(placeholders_later),
    "torque/s7_placeholder_qsub.txt": Case(placeholders_last),
    "torque/s9_qterm.txt": Case(held),
    "torque/s9_qstat_server_down.txt": Case(server_down),
    "torque/s9_pbsnodes_server_down.txt": Case(server_down),
    "torque/s9_qmgr_server_down.txt": Case(server_down),
    "torque42/s0_version.txt": Case(lambda: four(at("07:12:40"))),
    "torque42/s0_pbsnodes_x_created_offline.xml": Case(older(at("07:12:50"), "s0_pbsnodes_x_created_offline.xml")),
    "torque42/s0_pbsnodes_c.txt": Case(older(at("07:12:50"), "s0_pbsnodes_x_created_offline.xml")),
    "torque42/s0_pbsnodes_x_free.xml": Case(older(at("07:12:55"), "s0_pbsnodes_x_free.xml")),
    "torque42/s1_qsub_infeasible.txt": Case(waiting42),
    "torque42/s1_qstat_x_t.xml": Case(waiting42),
    "torque42/s1_qstat_a_n1.txt": Case(waiting42),
    "torque42/s1_qstat_f.txt": Case(waiting42, (unwrapped, no_path)),
    "torque42/s1_pbsnodes_x.xml": Case(waiting42),
    "torque42/s1_pbsnodes.txt": Case(waiting42),
    "torque42/s1_qmgr_list_node.txt": Case(waiting42),
    "torque42/s1_pbsnodes_l_all.txt": Case(waiting42),
    "torque42/s2_offline.txt": Case(waiting42),
    "torque42/s2_pbsnodes_x_offline.xml": Case(older(at("07:13:25"), "s2_pbsnodes_x_offline.xml")),
    "torque42/s2_pbsnodes_ln.txt": Case(older(at("07:13:25"), "s2_pbsnodes_x_offline.xml")),
    "torque42/s2_qmgr_delete_idle_offline.txt": Case(older(at("07:13:25"), "s2_pbsnodes_x_offline.xml")),
    "torque42/s2_pbsnodes_x_after_delete.xml": Case(older(at("07:13:26"), "s2_pbsnodes_x_after_delete.xml")),
    "torque42/s2_qstat_after_delete.txt": Case(waiting42),
    "torque42/s2_qmgr_errors.txt": Case(older(at("07:13:26"), "s2_pbsnodes_x_after_delete.xml")),
    "torque42/s3_qstat_x_t_running.xml": Case(running42),
    "torque42/s3_qstat_f_running.txt": Case(running42, (unwrapped, no_path)),
    "torque42/s3_qstat_a_n1.txt": Case(running42),
    "torque42/s3_pbsnodes_x_running.xml": Case(running42),
    "torque42/s3_pbsnodes_l_all.txt": Case(running42),
    "torque42/s4_qmgr_delete_node_with_jobs.txt": Case(running42),
    "torque42/s4_pbsnodes_x_after.xml": Case(orphaned42),
    "torque42/s4_qstat_a_n1_after.txt": Case(orphaned42),
    "torque42/s5_qsub_infeasible_is_transit.txt": Case(transit42),
    "torque42/s5_qstat_after_pbs_sched_cycle.txt": Case(deleted42),
    "torque42/s6_placeholder_create.txt": Case(orphaned42),
    "torque42/s6_placeholder_qsub_2nodes.txt": Case(placeholder42),
    "torque42/s6_placeholder_qstat.txt": Case(placeholder42_queue),
    "maui/s1_showq.txt": Case(s1()),
    "maui/s1_checknode_node01.txt": Case(first_node),
    "maui/s1_diagnose_p.txt": Case(s1()),
    "maui/s1_diagnose_n.txt": Case(s1(), (no_columns,)),
    "maui/s1_diagnose_j.txt": Case(s1()),
    "maui/s1_checkjob_1.txt": Case(s1()),
    "maui/s1_checkjob_v_1.txt": Case(s1()),
    "maui/s1_checkjob_13_feature.txt": Case(s1()),
    "maui/s1_checkjob_0_running.txt": Case(s1()),
    "maui/s1_showres.txt": Case(s1()),
    "maui/s1_showres_n.txt": Case(s1()),
    "maui/s2_checkjob_three_nodes.txt": Case(both),
    "maui/s2_checkjob_cloud_property.txt": Case(both),
    "maui/s2_showq.txt": Case(both),
    "maui/s2_showq_i.txt": Case(both),
    "maui/s2_showq_b.txt": Case(both),
    "maui/s2_diagnose_q.txt": Case(both),
    "maui/s2_diagnose_p.txt": Case(both),
    "maui/s2_checknode_draining.txt": Case(drained),
    "maui/s2_setres.txt": Case(drained),
    "maui/s2_setres_allhosts.txt": Case(reserved("hpcxres")),
    "maui/s2_showres_n.txt": Case(reserved("hpcxres", "cloudres")),
    "maui/s2_showres.txt": Case(reserved("hpcxres", "cloudres")),
    "maui/s2_releaseres.txt": Case(reserved("hpcxres", "cloudres")),
    "maui/s2_releaseres_unknown.txt": Case(drained),
    "maui/s2_checkjob_unknown.txt": Case(both),
    "maui/s2_checknode_unknown.txt": Case(both),
    "maui/s3_checkjob_deferred_16ppn.txt": Case(later),
    "maui/s3_checkjob_deferred_50nodes.txt": Case(later),
    "maui/s3_checkjob_held_user.txt": Case(later),
    "maui/s3_checkjob_dependency.txt": Case(later),
    "maui/s3_checkjob_arrayslot_held.txt": Case(later),
    "maui/s3_showq_after_node03.txt": Case(grown),
    "maui/s4_checknode_down.txt": Case(grown),
    "maui/s5_checknode_node04_drained.txt": Case(newest),
    "maui/s5_showq_b.txt": Case(newest),
    "maui/s6_checkjob_23_deferred.txt": Case(bigger("07:15:43", "procs", _23=1)),
    "maui/s6_showconfig_defer.txt": Case(s1()),
    "maui/s6_checkjob_29_capacity_added_still_deferred.txt": Case(bigger("07:16:03", "procs")),
    "maui/s6_releasehold_a_29.txt": Case(bigger("07:16:03", "procs")),
    "maui/s6_checkjob_29_after_release.txt": Case(bigger("07:16:23", "reservation", "07:16:13")),
    "maui/s7_checknode_placeholder.txt": Case(placeholder_node),
    "maui/s7_changeparam_defertime.txt": Case(showing),
    "maui/s7_diagnose_n.txt": Case(node_table, (no_columns,)),
    "maui/s7_checkjob_placeholder_down_feature.txt": Case(showing),
    "maui/s7_showq_placeholder.txt": Case(showing),
    "maui/s7_checkjob_29_after_defertime30.txt": Case(showing),
    "maui/s9_showq_server_down.txt": Case(stale),
    "maui/s8_checkjob_35_deferred_before.txt": Case(lone("07:27:57", node=False)),
    "maui/s8_checkjob_35_45s_after_node_up.txt": Case(lone("07:28:40")),
    "maui/s8_releasehold_35.txt": Case(lone("07:28:50")),
    "maui/s8_showq_after_releasehold.txt": Case(lone("07:29:07", starts="07:28:57")),
    "maui/s8_checkjob_35_after_releasehold.txt": Case(lone("07:29:07", starts="07:28:57")),
}

_FILTER = "SUBMITFILTER is a program of the site that qsub runs; the double has none"
_OTHER = "of no use to a service beside the queue; the double does not have this command"

NOT_REPLAYED: dict[str, str] = {
    "torque/s1_momctl_d3.txt": "the double's momctl says only the head of a diagnosis",
    "torque/s5_tracejob.txt": _OTHER,
    "torque/s8_submitfilter_qsub.txt": _FILTER,
    "torque/s8_submitfilter_reject.txt": _FILTER,
    "torque/s8_submitfilter_job_account.txt": _FILTER,
    "torque/s4_qmgr_delete_node_down_with_job": "no output to compare; test_torque_double shows what happens",
    "torque/s4_qmgr_delete_node_busy": "no output to compare; test_torque_double shows what happens",
    "maui/s1_showstart_1.txt": _OTHER,
    "maui/s1_showbf.txt": _OTHER,
    "maui/s1_showstate.txt": _OTHER,
    "maui/s2_diagnose_r.txt": "the double has diagnose -p, -j, -n and -q; reservations are read with showres",
    "maui/s5_diagnose_f.txt": "the double has no fair share",
}
"""Lines of the recordings that are not replayed, each with its reason."""


def place_of(tmp_path: Path, state: State) -> Place:
    place = Place(str(tmp_path))
    install(place, "dynamiccluster.testing.torque_double.main", NAMES)
    install(place, "dynamiccluster.testing.torque_double.daemons", daemons.NAMES)
    place.write_state(state)
    install_sleep(place)
    place.set_faults(state.pop("fault", {}))
    place.set_clock(state["now"])
    known = [f"10.79.0.{at} {name}" for at, name in enumerate(("thn01", "node01", "node02", "node03", "node04"), 1)]
    (tmp_path / "hosts").write_text("\n".join(known) + "\n")
    return place


def home(tmp_path: Path) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    (directory / "sleep.sh").write_text("#!/bin/bash\nsleep 600\n")
    return directory


@pytest.mark.parametrize("name", CASES)
def test_as_recorded(tmp_path: Path, name: str) -> None:
    system, _, file = name.partition("/")
    (line,) = [line for line in index(RECORDED / system) if line.file == file]
    case = CASES[name]
    place = place_of(tmp_path, case.situation())
    out, err, code = replay(place, line, home(tmp_path))
    wanted_out, wanted_err = recorded(RECORDED / system, line)
    assert through(case.rules, out) == through(case.rules, wanted_out)
    assert through(case.rules, err) == through(case.rules, wanted_err)
    assert code == line.code


def test_nothing_recorded_is_overlooked() -> None:
    lines = {f"{system}/{line.file}" for system in ("torque", "torque42", "maui") for line in index(RECORDED / system)}
    assert lines == set(CASES) | set(NOT_REPLAYED)
    assert not set(CASES) & set(NOT_REPLAYED)
    assert len(CASES) > 160
