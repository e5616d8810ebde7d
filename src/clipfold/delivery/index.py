"""The index of a registry: a small SQLite file. Standard library only.

It may come from a stranger. Beside a file that may change, SQLite trusts the journal that it finds, and one that is
planted makes it delete any other file. So it reads the index as a file that does not change, and does nothing else with
it. A writer changes a private copy and renames it into place: readers see the index before or after, and a killed
writer leaves it whole.
"""

import json
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypedDict

from clipfold.checks import require
from clipfold.delivery.description import Description, check_shape, metric_name, parse
from clipfold.storage.replace import replacing

VERSION = 1
"""Raised when the tables change."""

MOST_BYTES = 1 << 30

_SCHEMA = (
    "CREATE TABLE bundles (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, "
    "architecture TEXT NOT NULL, added TEXT NOT NULL, facts TEXT NOT NULL)",
    "CREATE INDEX bundles_by_name ON bundles (name, number)",
    "CREATE TABLE metrics (metric TEXT NOT NULL, value REAL NOT NULL, number INTEGER NOT NULL, "
    "PRIMARY KEY (metric, value, number)) WITHOUT ROWID",
    "CREATE TABLE aliases (alias TEXT NOT NULL PRIMARY KEY, id TEXT NOT NULL)",
    "CREATE INDEX aliases_by_id ON aliases (id)",
)
_IDS = re.compile("(?:[0-9a-f]{16},)*")


class _Facts(TypedDict):
    classes: list[str]
    metrics: dict[str, list[float | None]]


class Entry(NamedTuple):
    """A bundle in a registry.

    Args:
        number: Order of adding.
        id: 16 hexadecimal digits, a hash of the content.
        added: Time in UTC, ISO format.
        facts: Classes and metrics, JSON: read only where asked for, since lists are long.
        alias_list: Aliases, joined by commas.
    """

    number: int
    id: str
    name: str
    architecture: str
    added: str
    facts: str
    alias_list: str

    @property
    def aliases(self) -> list[str]:
        """Aliases of the bundle, sorted."""
        return self.alias_list.split(",") if self.alias_list else []

    @property
    def classes(self) -> list[str]:
        """Class names."""
        return self._read()["classes"]

    @property
    def metrics(self) -> dict[str, list[float | None]]:
        """Metric -> value and both ends of its 95 % interval; None where undefined."""
        return self._read()["metrics"]

    def _read(self) -> _Facts:
        found: _Facts = parse(self.facts, f"registry: {self.id}")
        check_shape(f"registry: {self.id}", found, _Facts)
        return found


class Index:
    """An index.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open the index as it is now.

        Raises:
            ValueError: It is missing, no file, damaged, or of another version.
        """
        if not os.path.lexists(self.path):
            raise ValueError(f"registry: {self.path.parent} has no {self.path.name}: add a bundle, or rebuild it")
        status = os.lstat(self.path)
        regular = stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES
        require(regular, "registry", str(self.path), "it is a link, or no index: remove it and rebuild the registry")
        with self._damaged(), closing(_open(self.path)) as index:
            yield index

    @contextmanager
    def writing(self, *, anew: bool = False) -> Iterator[sqlite3.Connection]:
        """Open a copy of the index that replaces it if the block succeeds and changes anything.

        The caller makes sure that there is no other writer.

        Args:
            anew: Begin with an empty index.

        Raises:
            ValueError: As by `reading`.
        """
        with TemporaryDirectory(prefix="clipfold-") as folder:
            copy = Path(folder, "index")
            with self._damaged(), closing(sqlite3.connect(copy, isolation_level=None)) as index:
                index.execute("PRAGMA synchronous = OFF")
                anew = anew or not os.path.lexists(self.path)
                if anew:
                    for statement in (*_SCHEMA, f"PRAGMA user_version = {VERSION}"):
                        index.execute(statement)
                else:
                    with self.reading() as old:
                        old.backup(index)
                before = index.total_changes
                index.execute("BEGIN")
                yield index
                index.execute("COMMIT")
                changed = index.total_changes > before
            if anew or changed:
                with replacing(self.path) as file, open(copy, "rb") as source:
                    shutil.copyfileobj(source, file)

    @contextmanager
    def _damaged(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError, TypeError, KeyError) as error:
            raise ValueError(f"registry: {self.path} is damaged ({error}): rebuild the registry") from error


def select(index: sqlite3.Connection, which: str = "", *values: Any) -> Sequence[Entry]:
    """Read entries.

    Args:
        index: The open index.
        which: SQL that follows `FROM bundles`.
        values: Of its parameters.
    """
    rows = index.execute(f"SELECT number, id, name, architecture, added, facts, '' FROM bundles {which}", values)
    found = [*map(Entry._make, rows)]
    if not found:
        return found
    # All at once: of 10,000 entries, one by one would take as long as reading them.
    _, ids, names, architectures, added, _, _ = zip(*found, strict=True)
    own = "SELECT * FROM aliases WHERE id BETWEEN ? AND ? ORDER BY alias"
    named = dict(index.execute(f"SELECT id, group_concat(alias) FROM ({own}) GROUP BY id", (min(ids), max(ids))))
    shown = "".join((*names, *architectures, *added, *named.values()))
    if not (_IDS.fullmatch(",".join((*ids, ""))) and shown.isprintable()):  # ids become names of files
        raise sqlite3.DatabaseError("it has an id or a name that no bundle has")
    for position, identity in enumerate(ids):
        if identity in named:
            found[position] = found[position]._replace(alias_list=named[identity])
    return found


def insert(index: sqlite3.Connection, identity: str, name: str, description: Description, added: str) -> None:
    """Write a new entry."""
    metrics = {metric_name(row): [row["value"], row["low"], row["high"]] for row in description["metrics"]}
    facts = json.dumps({"classes": description["classes"], "metrics": metrics}, separators=(",", ":"))
    row = (identity, name, description["architecture"], added, facts)
    number = index.execute(
        "INSERT INTO bundles (id, name, architecture, added, facts) VALUES (?, ?, ?, ?, ?)", row
    ).lastrowid
    values = [(metric, value, number) for metric, (value, _, _) in metrics.items() if value is not None]
    index.executemany("INSERT INTO metrics VALUES (?, ?, ?)", values)


def delete(index: sqlite3.Connection, entry: Entry) -> None:
    """Remove an entry."""
    index.execute("DELETE FROM metrics WHERE number = ?", (entry.number,))
    index.execute("DELETE FROM bundles WHERE id = ?", (entry.id,))


def aliases(index: sqlite3.Connection) -> Mapping[str, str]:
    """Read alias -> id of all aliases."""
    return dict(index.execute("SELECT alias, id FROM aliases"))


def _open(path: Path) -> sqlite3.Connection:
    """Open an index for reading, after comparing its tables with ours: a stranger's may be views that never end."""
    index = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        (version,) = index.execute("PRAGMA user_version").fetchone()
        require(
            version == VERSION, f"registry: version of {path}", version, f"this clipfold reads {VERSION}: rebuild it"
        )
        tables = index.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        if {sql for (sql,) in tables} != {*_SCHEMA}:
            raise sqlite3.DatabaseError("its tables are not those of a registry")
    except BaseException:
        index.close()
        raise
    return index
