"""The contract of a store, for every implementation; and what only a store on a disk has to promise."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamiccluster.errors import StoreError, VersionConflictError
from dynamiccluster.model.action import Action, ActionKind, NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.event import Event, EventKind, EventQuery
from dynamiccluster.model.launch import Launch, LaunchState
from dynamiccluster.model.memory import (
    Backoff,
    Breaker,
    BreakerState,
    Learned,
    Memory,
    Miss,
    Nomination,
    ObservedClock,
    Override,
    Spend,
)
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.resource import ResourceFlag
from dynamiccluster.model.worker_node import HoldWhy, NodeState, WorkerNode
from dynamiccluster.store import schema
from dynamiccluster.store.base import Store
from dynamiccluster.store.memory import MemoryStore
from dynamiccluster.store.migrations import bring_up_to_date
from dynamiccluster.store.sql import SqlStore

MEMORY = Memory(
    generation="ab12",
    next_serial=7,
    tick=3,
    observe_only=True,
    auto_mode=False,
    clocks={"scheduler": ObservedClock(12.5, 1e9)},
    breakers={"r1": Breaker(BreakerState.HALF_OPEN, 5, 1, 10.0, 2e9, "n1", "it failed")},
    backoffs={"offering:x": Backoff(5.0, 6.0, 2, "capacity", "none left")},
    nominations={"n1": Nomination(float("inf"), "17[3]")},
    overrides={"r1": Override(ResourceFlag.FROZEN, 1, 2)},
    misses={"instance:n1": Miss(2, 3.0, 4.0)},
    rate_tokens=0.5,
    spend=Spend("2026-11", 12.25, 1e9),
    learned={"r1": Learned(Capacity(4, 8192, 1), Capacity(4, 8000, 1), 5.0, 1, doubted=True)},
    declared="f00",
    open_actions={"a1": "declare"},
)


def node(node_id: str = "n1", **more: Any) -> WorkerNode:
    return replace(WorkerNode(node_id, "r1", "t1", "l1", NodeState.REQUESTED, host_name=f"host-{node_id}"), **more)


def event(text: str, **more: Any) -> Event:
    return replace(Event(at=1000.0, kind=EventKind.NODE, text=text), **more)


@pytest.fixture(params=["memory", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqlStore(tmp_path / "store.db")
    yield made
    made.close()


def test_a_new_store_is_fresh(store: Store) -> None:
    stored = store.load()
    assert (stored.version, stored.fresh, stored.memory) == (0, True, Memory())
    assert not stored.nodes
    assert not stored.launches
    assert not stored.open_actions
    assert store.events().events == ()


def test_everything_committed_is_loaded(store: Store) -> None:
    full = node(
        state=NodeState.HOLDING,
        hold_why=HoldWhy.OPERATOR,
        idle_since_obs=4.5,
        todo=(ActionKind.NAME_ADD, ActionKind.HOST_ADD),
        reason="weil's so ist — \u2028 \x00",
    )
    launch = Launch("l1", "r1", "t1", ("n1", "n2"), LaunchState.OPEN, 99.5)
    action = Action("a1", ActionKind.LAUNCH, "jobs wait", launch_id="l1", specs=(NodeSpec("n1", "host-n1"),))
    plan = Plan(MEMORY, nodes={"n1": full, "n2": node("n2")}, launches={"l1": launch}, actions=(action,))
    assert store.commit(0, plan) == 1
    stored = store.load()
    assert (stored.version, stored.fresh) == (1, False)
    assert stored.memory == MEMORY
    assert stored.nodes == {"n1": full, "n2": node("n2")}
    assert stored.launches == {"l1": launch}
    assert stored.open_actions == (action,)


def test_only_what_the_plan_names_changes(store: Store) -> None:
    first = Action("a1", ActionKind.HOLD, "one")
    second = Action("a2", ActionKind.HOLD, "two")
    launch = Launch("l1", "r1", "t1", ("n1",), LaunchState.OPEN, 1.0)
    store.commit(0, Plan(MEMORY, {"n1": node(), "n2": node("n2")}, {"l1": launch}, actions=(second, first)))
    assert [each.action_id for each in store.load().open_actions] == ["a2", "a1"]
    busy = node("n2", state=NodeState.BUSY)
    later = replace(MEMORY, tick=4, clocks={})
    plan = Plan(
        later, {"n2": busy}, forgotten_nodes=("n1", "nobody"), forgotten_launches=("l1",), closed_actions=("a2", "x")
    )
    assert store.commit(1, plan) == 2
    stored = store.load()
    assert stored.memory == later
    assert stored.nodes == {"n2": busy}
    assert not stored.launches
    assert stored.open_actions == (first,)


def test_a_version_that_moved_is_a_conflict_and_changes_nothing(store: Store) -> None:
    store.commit(0, Plan(MEMORY, {"n1": node()}))
    for expected in (0, 2):
        with pytest.raises(VersionConflictError, match=f"version 1, not {expected}"):
            store.commit(expected, Plan(Memory(), {"n2": node("n2")}, events=(event("x"),), forgotten_nodes=("n1",)))
    stored = store.load()
    assert (stored.version, stored.memory, set(stored.nodes)) == (1, MEMORY, {"n1"})
    assert store.events().events == ()
    assert store.commit(1, Plan(MEMORY)) == 2


def test_what_was_loaded_does_not_change_afterwards(store: Store) -> None:
    store.commit(0, Plan(MEMORY, {"n1": node()}))
    stored = store.load()
    store.commit(1, Plan(MEMORY, {"n2": node("n2")}, forgotten_nodes=("n1",)))
    assert set(stored.nodes) == {"n1"}


def test_events_come_newest_first_in_pages(store: Store) -> None:
    for tick in range(5):
        batch = tuple(event(f"{tick}.{part}", tick=tick) for part in range(5))
        store.commit(tick, Plan(MEMORY, events=batch))
    expected = [f"{tick}.{part}" for tick in range(5) for part in range(5)][::-1]
    page = store.events(EventQuery(limit=10))
    assert [each.text for _, each in page.events] == expected[:10]
    store.commit(5, Plan(MEMORY, events=(event("in between"),)))  # does not disturb the paging
    second = store.events(EventQuery(limit=10, before=page.next_before))
    third = store.events(EventQuery(limit=10, before=second.next_before))
    assert [each.text for _, each in (*page.events, *second.events, *third.events)] == expected
    assert third.next_before == 0
    serials = [serial for serial, _ in (*page.events, *second.events, *third.events)]
    assert serials == sorted(set(serials), reverse=True)
    assert store.events(EventQuery(limit=26)).next_before == 0  # exactly all of them


def test_events_are_filtered_by_everything_given(store: Store) -> None:
    full = event(
        "one",
        actor="alice",
        node_id="n1",
        host_name="h1",
        resource="r1",
        job_id="17",
        from_state="idle",
        to_state="busy",
        tick=9,
    )
    others = (
        event("two", at=2000.0, host_name="n1", kind=EventKind.WARNING),
        event("three", at=3000.0, node_id="n2", host_name="h2", resource="r1"),
        event("four", at=4000.0, kind=EventKind.COMMAND, job_id="17"),
    )
    store.commit(0, Plan(MEMORY, events=(full, *others)))

    def texts(**filters: Any) -> list[str]:
        return [each.text for _, each in store.events(EventQuery(**filters)).events]

    assert store.events(EventQuery(limit=1, before=2)).events == ((1, full),)
    assert texts(node_id="n1") == ["two", "one"]
    assert texts(node_id="h2") == ["three"]
    assert texts(resource="r1") == ["three", "one"]
    assert texts(job_id="17") == ["four", "one"]
    assert texts(job_id="17", node_id="n1") == ["one"]
    assert texts(kind="warning") == ["two"]
    assert texts(since_at=3000.0) == ["four", "three"]
    assert texts(since_at=2000.0, until_at=3000.0) == ["three", "two"]
    assert texts(actor="alice") == texts(by_people=True) == texts(text="ON") == ["one"]
    assert texts(text="%") == texts(text="_") == texts(actor="alic") == []
    assert texts(text="O", kind="command") == ["four"]
    assert texts(node_id="'; DROP TABLE events; --\udcff") == []
    assert texts(limit=0) == ["four"]


def test_prune_drops_old_events_and_never_reuses_their_numbers(store: Store) -> None:
    store.commit(0, Plan(MEMORY, events=tuple(event(str(at), at=float(at)) for at in range(10))))
    assert store.prune(4.0) == 4
    assert [each.text for _, each in store.events().events] == ["9", "8", "7", "6", "5", "4"]
    assert store.prune(100.0) == 6
    assert store.prune(100.0) == 0
    store.commit(1, Plan(MEMORY, events=(event("new"),)))
    assert store.events().events[0][0] == 11


def test_hostile_text_does_not_stop_a_commit(store: Store) -> None:
    bad = "job \udcff\ud800 'x'; --\x00\n"
    plan = Plan(
        replace(MEMORY, unstuck={bad: 1.0}),
        {"n1": node(reason=bad)},
        actions=(Action("a1", ActionKind.VACATE, bad, job_ids=(bad,)),),
        events=(event(bad, job_id=bad),),
    )
    assert store.commit(0, plan) == 1
    stored = store.load()
    assert stored.nodes["n1"].reason.startswith("job ")
    assert stored.open_actions[0].job_ids[0].endswith("'x'; --\x00\n")
    assert len(store.events(EventQuery(job_id=bad)).events) == 1


IDS = st.sampled_from(["n1", "n2", "n3", "n4"])
NODES = st.builds(
    WorkerNode,
    node_id=st.just(""),
    resource=st.text(max_size=5),
    tenancy=st.just("t"),
    launch_id=st.just("l"),
    state=st.sampled_from(NodeState),
    created_at=st.floats(allow_nan=False),
    idle_since_obs=st.none() | st.floats(allow_nan=False),
    todo=st.lists(st.sampled_from(ActionKind), max_size=3).map(tuple),
    reason=st.text(max_size=20),
)
MEMORIES = st.builds(
    Memory,
    tick=st.integers(0, 2**40),
    clocks=st.dictionaries(st.text(max_size=4), st.builds(ObservedClock, st.floats(allow_nan=False)), max_size=3),
    auto_mode=st.none() | st.booleans(),
    rate_tokens=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
STEPS = st.tuples(
    MEMORIES,
    st.dictionaries(IDS, NODES, max_size=4),
    st.lists(IDS, max_size=2),
    st.lists(st.sampled_from(["a1", "a2", "a3"]), max_size=3, unique=True),
    st.lists(st.sampled_from(["a1", "a2", "a3"]), max_size=2, unique=True),
    st.booleans(),
)


@pytest.mark.parametrize("kind", ["memory", "sql"])
@given(steps=st.lists(STEPS, max_size=6))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_load_equals_a_plain_dict_model(kind: str, steps: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever is committed, and whether or not the store is opened again in between."""
    path = tmp_path_factory.mktemp("store") / "s.db"
    store: Store = MemoryStore() if kind == "memory" else SqlStore(path)
    memory, nodes, actions = Memory(), dict[str, WorkerNode](), dict[str, Action]()
    try:
        for version, (new_memory, changed, forgotten, opened, closed, reopen) in enumerate(steps):
            records = {key: replace(record, node_id=key) for key, record in changed.items()}
            new_actions = tuple(Action(key, ActionKind.CHECK, str(version)) for key in opened)
            gone = tuple(key for key in forgotten if key not in records)
            plan = Plan(new_memory, records, forgotten_nodes=gone, actions=new_actions, closed_actions=tuple(closed))
            assert store.commit(version, plan) == version + 1
            memory = new_memory
            nodes.update(records)
            actions.update({each.action_id: each for each in new_actions})
            for key in gone:
                nodes.pop(key, None)
            for key in closed:
                actions.pop(key, None)
            if reopen and kind == "sql":
                store.close()
                store = SqlStore(path)
            stored = store.load()
            assert (stored.version, stored.memory, stored.nodes) == (version + 1, memory, nodes)
            assert stored.open_actions == tuple(actions.values())
    finally:
        store.close()


# --- what only a store on a disk has to promise


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[], SqlStore]]:
    made: list[SqlStore] = []

    def make() -> SqlStore:
        made.append(SqlStore(path))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_reload_after_reopening(opened: Callable[[], SqlStore], path: Path) -> None:
    first = opened()
    first.commit(0, Plan(MEMORY, {"n1": node()}, events=(event("x"),)))
    first.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["store.db"]  # the log went into the file
    second = opened()
    assert second.load().memory == MEMORY
    assert second.commit(1, Plan(replace(MEMORY, tick=9))) == 2
    assert second.load().memory == replace(MEMORY, tick=9)
    assert second.count_events() == 1


def test_two_handles_conflict(opened: Callable[[], SqlStore]) -> None:
    first, second = opened(), opened()
    assert first.commit(first.load().version, Plan(MEMORY, {"n1": node()})) == 1
    with pytest.raises(VersionConflictError, match="another controller"):
        second.commit(0, Plan(Memory(), {"n2": node("n2")}))
    assert set(second.load().nodes) == {"n1"}
    # The second goes on from what it has read. The first must not believe its own memory of what is written.
    assert second.commit(1, Plan(replace(MEMORY, tick=50))) == 2
    assert first.commit(2, Plan(MEMORY)) == 3
    assert second.load().memory == MEMORY


def test_of_many_writers_exactly_one_gets_each_version(opened: Callable[[], SqlStore]) -> None:
    stores = [opened() for _ in range(4)]
    won: list[int] = []

    def race(mine: SqlStore) -> None:
        for _ in range(10):
            try:
                won.append(mine.commit(mine.load().version, Plan(MEMORY)))
            except VersionConflictError:
                continue

    threads = [threading.Thread(target=race, args=(each,)) for each in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, len(won) + 1))
    assert stores[0].load().version == len(won)


def test_history_can_be_read_while_a_commit_is_under_way(opened: Callable[[], SqlStore]) -> None:
    store = opened()
    store.commit(0, Plan(MEMORY, events=(event("before"),)))
    with store._write() as connection:
        connection.execute(sqlalchemy.delete(schema.events))
        assert [each.text for _, each in store.events().events] == ["before"]


WRITER = """
    import sys
    from dataclasses import replace
    from dynamiccluster.model.event import Event, EventKind
    from dynamiccluster.model.memory import Memory
    from dynamiccluster.model.plan import Plan
    from dynamiccluster.model.worker_node import NodeState, WorkerNode
    from dynamiccluster.store.sql import SqlStore
    store = SqlStore(sys.argv[1])
    version = store.load().version
    while True:
        key = f"n{version + 1}"
        node = WorkerNode(key, "r", "t", "l", NodeState.IDLE)
        plan = Plan(Memory(tick=version + 1), {key: node}, events=(Event(1.0, EventKind.NODE, key),))
        version = store.commit(version, plan)
        print(version, flush=True)
"""


def test_kill_minus_nine_loses_nothing_that_was_acknowledged(path: Path) -> None:
    acknowledged = 0
    for round_number in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        with process.stdout as lines:
            for _ in range(7 + 13 * round_number):
                acknowledged = int(lines.readline())
            process.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *(int(line) for line in lines if line.endswith("\n"))])
        process.wait()
        store = SqlStore(path)
        stored = store.load()
        assert stored.version >= acknowledged
        assert set(stored.nodes) == {f"n{number}" for number in range(1, stored.version + 1)}
        assert stored.memory.tick == stored.version
        assert store.count_events() == stored.version
        store.close()


def test_only_the_owner_may_read_it(opened: Callable[[], SqlStore], path: Path) -> None:
    store = opened()
    store.commit(0, Plan(MEMORY))
    for each in path.parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
    store.close()
    path.chmod(0o644)
    opened()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_newer_version_wrote_is_read(opened: Callable[[], SqlStore], path: Path) -> None:
    store = opened()
    store.commit(0, Plan(MEMORY, {"n1": node()}, events=(event("x"),)))
    store.close()
    with sqlite3.connect(path) as database:
        record = json.loads(database.execute("SELECT record FROM nodes").fetchone()[0])
        record["colour"] = {"of": "the future"}
        del record["reason"]
        database.execute("UPDATE nodes SET record = ?", (json.dumps(record),))
        database.execute("INSERT INTO memory VALUES ('dreams', '[1]')")
        database.execute("DELETE FROM memory WHERE field = 'tick'")
        database.execute("UPDATE events SET kind = 'omen'")
    database.close()
    reopened = opened()
    stored = reopened.load()
    assert stored.nodes == {"n1": node()}
    assert stored.memory == replace(MEMORY, tick=0)
    assert reopened.events().events[0][1].text == "x"


def test_a_record_that_cannot_be_understood_is_named(opened: Callable[[], SqlStore], path: Path) -> None:
    store = opened()
    store.commit(0, Plan(MEMORY, {"n1": node()}))
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("""UPDATE nodes SET record = replace(record, '"requested"', '"levitating"')""")
    database.close()
    with pytest.raises(StoreError, match=r"store\.db: node n1 in the store cannot be understood \(state"):
        opened().load()


def test_a_newer_schema_is_refused(opened: Callable[[], SqlStore], path: Path) -> None:
    opened().close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE dynamiccluster_schema SET version = 99")
    database.close()
    with pytest.raises(StoreError, match="version 99, and this program knows versions up to 1"):
        opened()


def test_migrations_run_in_order_once_and_all_or_nothing(opened: Callable[[], SqlStore]) -> None:
    store = opened()
    store.commit(0, Plan(MEMORY, {"n1": node()}))
    ran: list[str] = []

    def one(connection: sqlalchemy.Connection) -> None:
        ran.append("one")
        connection.exec_driver_sql("ALTER TABLE nodes ADD COLUMN colour TEXT")

    def two(connection: sqlalchemy.Connection) -> None:
        ran.append("two")
        connection.exec_driver_sql("UPDATE nodes SET colour = 'red'")

    def broken(connection: sqlalchemy.Connection) -> None:
        raise StoreError("no power")

    with pytest.raises(StoreError, match="no power"), store._write() as connection:
        bring_up_to_date(connection, (one, broken))
    with store._write() as connection:
        assert bring_up_to_date(connection, (one, two)) == 1
    with store._write() as connection:
        assert bring_up_to_date(connection, (one, two)) == 3
        assert connection.exec_driver_sql("SELECT colour FROM nodes").scalars().all() == ["red"]
    assert ran == ["one", "one", "two"]


def refusal(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        SqlStore(path)
    assert not isinstance(caught.value, VersionConflictError)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_files_that_are_no_store(tmp_path: Path, path: Path) -> None:
    assert "there is no directory" in refusal(tmp_path / "missing" / "store.db")
    assert "it is a directory" in refusal(tmp_path)
    path.write_text("general:\n  - this is YAML\n" * 100)
    assert "not a database" in refusal(path)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
    database.close()
    assert "a database of something else" in refusal(other)


def test_a_damaged_file_says_so_at_the_start(opened: Callable[[], SqlStore], path: Path) -> None:
    store = opened()
    for version in range(20):
        store.commit(version, Plan(MEMORY, {f"n{version}-{i}": node(f"n{version}-{i}") for i in range(20)}))
    store.close()
    data = bytearray(path.read_bytes())
    data[8192 : len(data) // 2] = os.urandom(len(data) // 2 - 8192)
    path.write_bytes(bytes(data))
    assert "damaged" in refusal(path)


def test_a_full_disk_fails_the_commit_whole_and_heals(opened: Callable[[], SqlStore]) -> None:
    store = opened()
    store.commit(0, Plan(MEMORY, {"n1": node()}))
    many = {f"n{number}": node(f"n{number}", reason="x" * 1000) for number in range(200)}
    big = Plan(replace(MEMORY, tick=99), many, events=(event("big"),))
    limit = "PRAGMA max_page_count"
    with store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"{limit} = {pages}")
    with pytest.raises(StoreError, match="disk is full: make room"):
        store.commit(1, big)
    stored = store.load()
    assert (stored.version, stored.memory, set(stored.nodes)) == (1, MEMORY, {"n1"})
    assert store.events().events == ()
    with store._engine.connect() as connection:
        connection.exec_driver_sql(f"{limit} = 1000000")
    assert store.commit(1, big) == 2
    assert store.load().memory.tick == 99


def test_read_only_and_locked(opened: Callable[[], SqlStore], path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamiccluster.store.sql.BUSY_S", 0.05)
    store = opened()
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match="cannot be written: check owner and mode"):
        store.commit(0, Plan(MEMORY))
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program has held it"):
        store.commit(0, Plan(MEMORY))
    other.execute("ROLLBACK")
    other.close()
    assert store.commit(0, Plan(MEMORY)) == 1


def test_the_tables_have_the_indexes_that_the_searches_use(opened: Callable[[], SqlStore]) -> None:
    store = opened()
    with store._engine.connect() as connection:
        for column in ("node_id", "host_name", "resource", "job_id", "kind"):
            query = f"EXPLAIN QUERY PLAN SELECT * FROM events WHERE {column} = ? ORDER BY serial DESC LIMIT 5"  # noqa: S608 - fixed names
            how = connection.exec_driver_sql(query, ("x",)).all()
            assert f"USING INDEX events_{column}" in str(how)
            assert "TEMP B-TREE" not in str(how)
