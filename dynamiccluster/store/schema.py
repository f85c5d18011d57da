"""The tables of the SQL store, as they are in the newest version of the schema.

Records of the model are kept as JSON in one column: they are read and written whole, and a field that is new in the
model needs no new column. History has columns, because it is searched. In the searched columns "nothing" is NULL
rather than "", so that the partial indexes below hold only rows that can ever be asked for.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text

metadata = MetaData()

_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts upwards only for a plain INTEGER key

schema_version = Table(
    "dynamiccluster_schema",
    metadata,
    Column("version", Integer, nullable=False),
)

state = Table(
    "state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # there is one row, number 1
    Column("version", BigInteger, nullable=False),  # of the contents; every commit moves it by one
)

memory = Table(
    "memory",
    metadata,
    Column("field", Text, primary_key=True),  # one row per field: only those that changed are written again
    Column("value", Text, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("record", Text, nullable=False),
)

launches = Table(
    "launches",
    metadata,
    Column("launch_id", Text, primary_key=True),
    Column("record", Text, nullable=False),
)

open_actions = Table(
    "open_actions",
    metadata,
    Column("serial", _SERIAL, primary_key=True, autoincrement=True),  # they are given back in the order of their coming
    Column("action_id", Text, nullable=False, unique=True),
    Column("record", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("serial", _SERIAL, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("node_id", Text),
    Column("host_name", Text),
    Column("resource", Text),
    Column("job_id", Text),
    Column("from_state", Text),
    Column("to_state", Text),
    Column("tick", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # a number is never used twice, also after everything was pruned
)

Index("events_at", events.c.at)
Index("events_kind", events.c.kind)
for _column in (events.c.node_id, events.c.host_name, events.c.resource, events.c.job_id):
    Index(
        f"events_{_column.name}",
        _column,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )
