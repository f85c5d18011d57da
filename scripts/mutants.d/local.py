"""Mutants of the local cloud: its tests must notice each."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/unit/test_local_hardships.py"
"""The tests that must turn red."""


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"local: {name}", (Edit(f"clouds/{file}", old, new),))


MUTANTS = (
    _one(
        "a worker runs that is not written down",
        "local_worker.py",
        "        if not written:\n",
        "        if not child:\n            return 0\n        if not written and command == []:\n",
    ),
    _one("a pid of an earlier life is believed", "local_records.py", "boot == [boot_id()]", "True"),
    _one(
        "a vanished directory is an empty cloud",
        "local_records.py",
        "            if self._seen:\n",
        "            if not self._directory:\n",
    ),
    _one(
        "an unreadable directory is an empty cloud",
        "local_records.py",
        'raise TransientError(f"{self._directory}: {error.strerror}") from error\n        self._seen = True',
        "return []\n        self._seen = True",
    ),
    _one(
        "a damaged pid means dead",
        "local_records.py",
        "        except (OSError, ValueError) as error:  # whether it lives is not known then\n",
        "        except ValueError:\n            return 0\n        except OSError as error:\n",
    ),
    _one("a record may be another's", "local_records.py", "record.instance_id != instance_id or ", ""),
    _one(
        "values of records are not looked at",
        "local_records.py",
        " or any(type(getattr(record, name)) is not kinds[name] for name in kinds)",
        "",
    ),
    _one(
        "one damaged record holds up all ends",
        "local.py",
        "                failed.append(error)\n",
        "                raise error from None\n",
    ),
    _one(
        "a full disk keeps machines alive", "local.py", "                unwritten = error\n", "                raise\n"
    ),
    _one(
        "an end that is not written down is none",
        "local.py",
        "        if unwritten:\n            raise",
        "        if unwritten and not pid:\n            raise",
    ),
    _one(
        "the limit is each service's own",
        "local.py",
        "number = len(alive)",
        "number = sum(self._is_ours(record) for record in alive)",
    ),
    _one(
        "others' machines are ended",
        "local.py",
        "        if record is None or not self._is_ours(record):\n            return\n",
        "        if record is None:\n            return\n",
    ),
    _one(
        "the plug is only asked for",
        "local.py",
        "            os.kill(pid, signal.SIGKILL)\n",
        "            os.kill(pid, signal.SIGTERM)\n",
    ),
    _one(
        "names are not looked at",
        "local.py",
        "            require_host_name(spec.host_name)\n",
        "            str(spec.host_name)\n",
    ),
    _one("what was left is not swept", "local.py", "        self._records.sweep()\n", "        self._records.all()\n"),
)
