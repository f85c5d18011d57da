"""From an older schema to the newest. A new store gets the newest tables at once.

To change the schema: change ``schema.py``, and append a function here that turns the tables of the version before
into the new ones. Functions are never changed once released. All that are needed run in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, insert, inspect, select, update

from dynamiccluster.errors import StoreError
from dynamiccluster.store import schema

Migration = Callable[[Connection], None]

MIGRATIONS: tuple[Migration, ...] = ()
"""``MIGRATIONS[0]`` leads from version 1 to 2, and so on."""


def bring_up_to_date(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Create or migrate the tables, inside the caller's transaction; the version that was found (0 = none).

    :raises StoreError: the schema is newer than this program, or the database belongs to something else.
    """
    newest = 1 + len(migrations)
    tables = set(inspect(connection).get_table_names())
    if schema.schema_version.name not in tables:
        if tables:
            raise StoreError("it is a database of something else; name another file in the configuration")
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.schema_version).values(version=newest))
        connection.execute(insert(schema.state).values(id=1, version=0))
        return 0
    found = connection.execute(select(schema.schema_version.c.version)).scalar_one()
    if found > newest:
        raise StoreError(
            f"its schema is version {found}, and this program knows versions up to {newest}: it was written by a newer "
            "Dynamic Cluster; install that again, or give this one a file of its own"
        )
    for step in migrations[found - 1 :]:
        step(connection)
    if found < newest:
        connection.execute(update(schema.schema_version).values(version=newest))
    return int(found)
