"""A folder of bundles: look up, list, promote. Standard library only.

    registry.sqlite          the index
    registry.lock            held by whoever writes
    objects/<id>.clipfold    the bundles

The folder may be shared, and may come from a stranger.
"""

import datetime
import fcntl
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from clipfold.checks import require, suggest
from clipfold.delivery.description import Description, check_name
from clipfold.delivery.format import SUFFIX, Source, reading
from clipfold.delivery.index import Entry, Index, aliases, delete, insert, select

logger = logging.getLogger(__name__)

PRODUCTION = "production"

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "eer"})

WAIT_S = 300.0
"""Seconds to wait for another writer, which may copy gigabytes."""

_OBJECTS = "objects"
_START = re.compile("[0-9a-f]{6,15}")

_File: TypeAlias = tuple[float, str, Description]
"""Time of a bundle's file in seconds, its id and description."""


class Registry:
    """A folder of bundles.

    Args:
        folder: The folder; `add` makes it.

    Raises:
        ValueError: By all methods: the folder or its index is missing, damaged, or not what it should be.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._index = Index(self.folder / "registry.sqlite")

    def add(self, bundle: str | Path, name: str | None = None) -> Entry:
        """Check a bundle and copy it into the registry; one that is there already stays as it is.

        Args:
            bundle: A folder, or a file with the suffix `.clipfold`.
            name: Name in the registry; by default the bundle's.

        Raises:
            ValueError: It is no bundle, is damaged, or the name cannot be used.
        """
        if name is not None:
            check_name("name", name)
        with reading(bundle) as source, self._locked(), self._index.writing() as index:
            found = select(index, "WHERE id = ?", source.id)
            if not found or not os.path.lexists(self._object(source.id)):
                source.pack(self._object(source.id))  # before its entry: a killed writer leaves none without a file
            if not found:
                insert(index, source.id, name or source.description["name"], source.description, _time(time.time()))
            elif name not in (None, found[0].name):
                logger.warning("%s is in the registry already, as %s: that name stays", source.id, found[0].name)
            return select(index, "WHERE id = ?", source.id)[0]

    def find(self, key: str) -> Entry:
        """Find a bundle: by id, alias, name (of several the last added), or 6 or more first digits of an id.

        Raises:
            ValueError: There is none, or several ids begin so.
        """
        with self._index.reading() as index:
            found = (
                select(index, "WHERE id = ?", key)
                or select(index, "WHERE id = (SELECT id FROM aliases WHERE alias = ?)", key)
                or select(index, "WHERE name = ? ORDER BY number DESC LIMIT 1", key)
                or (select(index, "WHERE id > ? AND id < ? LIMIT 2", key, f"{key}g") if _START.fullmatch(key) else ())
            )
        remedy = "use an id, an alias, a name, or 6 or more first digits of one id: `clipfold registry list` shows them"
        require(len(found) == 1, f"registry {self.folder}: bundle", key, remedy)
        return found[0]

    def path(self, key: str) -> Path:
        """Return the file of a bundle, after a look at its description.

        Args:
            key: As for `find`.

        Raises:
            ValueError: There is no such bundle, or its file is missing or another.
        """
        entry = self.find(key)
        path = self._object(entry.id)
        again = f"remove {entry.id} from the registry, and add the bundle again"
        require(os.path.lexists(path), "registry: file", str(path), f"it is missing: {again}")
        with _stored(path) as source:
            require(source.id == entry.id, "registry: file", str(path), f"it holds another bundle: {again}")
        return path

    def list(self, sort_by: str | None = None) -> Sequence[Entry]:
        """List all bundles, the last added first.

        Args:
            sort_by: Metric by which the best come first, and bundles without it last.

        Raises:
            ValueError: No bundle has the metric.
        """
        with self._index.reading() as index:
            newest = select(index, "ORDER BY number")[::-1]
            if sort_by is None or not newest:
                return newest
            way = "ASC" if sort_by in LOWER_IS_BETTER else "DESC"
            order = f"SELECT number FROM metrics WHERE metric = ? ORDER BY value {way}, number {way}"
            best = [number for (number,) in index.execute(order, (sort_by,))]
            known = [] if best else [metric for (metric,) in index.execute("SELECT DISTINCT metric FROM metrics")]
            require(bool(best), "sort_by", sort_by, suggest(sort_by, known) if known else "no bundle has metrics")
            entries = {entry.number: entry for entry in newest}
            return [*map(entries.pop, best), *entries.values()]

    def promote(self, key: str, alias: str = PRODUCTION, *, check: Callable[[Path], Iterable[str]]) -> Entry:
        """Let an alias name a bundle, and no longer another.

        Args:
            key: As for `find`.
            alias: The alias.
            check: Runs the golden test of a bundle, given its file; returns what differs, each as a sentence.

        Raises:
            ValueError: There is no such bundle, or its golden test fails.
        """
        check_name("alias", alias)
        entry = self.find(key)
        if problems := "; ".join(check(self.path(entry.id))):
            raise ValueError(f"{entry.name} ({entry.id}) is not made {alias}: its golden test fails here: {problems}")
        with self._locked(), self._index.writing() as index:
            here = select(index, "WHERE id = ?", entry.id)
            require(bool(here), "registry: bundle", entry.id, "it was removed meanwhile: add it again")
            index.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (alias, entry.id))
            return select(index, "WHERE id = ?", entry.id)[0]

    def unalias(self, alias: str) -> Entry:
        """Take an alias away; returns the bundle that it named.

        Raises:
            ValueError: There is no such alias.
        """
        with self._locked(), self._index.writing() as index:
            named = aliases(index)
            require(alias in named, "registry: alias", alias, suggest(alias, named) if named else "there are none")
            index.execute("DELETE FROM aliases WHERE alias = ?", (alias,))
            return select(index, "WHERE id = ?", named[alias])[0]

    def remove(self, key: str) -> Entry:
        """Remove a bundle; returns what its entry was.

        Args:
            key: As for `find`.

        Raises:
            ValueError: There is no such bundle, or an alias names it.
        """
        entry = self.find(key)
        with self._locked(), self._index.writing() as index:
            named = [alias for alias, identity in aliases(index).items() if identity == entry.id]
            require(
                not named, "registry: bundle", entry.id, f"{', '.join(named)} names it: promote another, or unalias it"
            )
            self._object(entry.id).unlink(missing_ok=True)  # before its entry: `rebuild` would find it again
            delete(index, entry)
        return entry

    def rebuild(self) -> Sequence[str]:
        """Make the index again from the files: add what it lacks, drop what is gone, remove what killed writers left.

        Names, aliases and the order of adding stay if the old index can be read. Else bundles get their own names, by
        the age of their files, and no aliases.

        Returns:
            Problems, each as a sentence: files that are left alone since they hold no bundle of that id.
        """
        with self._locked():
            entries, named = self._known()
            found, problems = self._files()
            with self._index.writing(anew=True) as index:
                for added, identity, description in sorted(found, key=lambda file: _rank(entries, file)):
                    old = entries.get(identity)
                    name, when = (old.name, old.added) if old else (description["name"], _time(added))
                    insert(index, identity, name, description, when)
                ids = {identity for _, identity, _ in found}
                kept = [(alias, identity) for alias, identity in named.items() if identity in ids]
                index.executemany("INSERT INTO aliases VALUES (?, ?)", kept)
        return problems

    def _known(self) -> tuple[dict[str, Entry], Mapping[str, str]]:
        """Read id -> entry and alias -> id from the old index; both are empty if it cannot be read."""
        try:
            with self._index.reading() as index:
                return {entry.id: entry for entry in select(index, "ORDER BY number")}, aliases(index)
        except ValueError as error:
            logger.warning("starting without names and aliases: %s", error)
            return {}, {}

    def _files(self) -> tuple[Sequence[_File], Sequence[str]]:
        """Read all files of bundles; returns them, and problems."""
        found, problems = [], []
        for path in sorted((self.folder / _OBJECTS).iterdir()):
            try:
                if path.name.startswith(".") and path.name.endswith(".part"):
                    path.unlink()
                    continue
                with _stored(path) as source:
                    require(
                        path.name == f"{source.id}{SUFFIX}",
                        "registry: file",
                        str(path),
                        "its name is not its id: add it",
                    )
                    found.append((path.stat().st_mtime, source.id, source.description))
            except (ValueError, OSError) as error:
                problems.append(str(error))
        return found, problems

    def _object(self, identity: str) -> Path:
        return self.folder / _OBJECTS / f"{identity}{SUFFIX}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers out. The system frees the lock of a killed process."""
        objects, lock = self.folder / _OBJECTS, self.folder / "registry.lock"
        for path in (objects, lock):
            require(not path.is_symlink(), "registry", str(path), "it is a link: remove it")
        objects.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            give_up = time.monotonic() + WAIT_S
            while not _try_lock(handle):
                busy = f"another process has been writing for {WAIT_S:.0f} s: try again later"
                require(time.monotonic() < give_up, "registry", str(self.folder), busy)
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _stored(path: Path) -> Iterator[Source]:
    """Read a bundle in the registry: a file, and no link."""
    require(stat.S_ISREG(os.lstat(path).st_mode), "registry: file", str(path), "it is a link or no file: remove it")
    with reading(path) as source:
        yield source


def _rank(entries: Mapping[str, Entry], file: _File) -> tuple[float, float, str]:
    """Sort known bundles by their number, others after them by age."""
    added, identity, _ = file
    return (entries[identity].number if identity in entries else float("inf"), added, identity)


def _time(seconds: float) -> str:
    """Write a time in UTC.

    >>> _time(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).isoformat()
