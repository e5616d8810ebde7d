"""A registry finds its bundles, whoever writes at the same time or is killed, and trusts nothing in its folder."""

import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import time

import pytest
from helpers.bundles import bundle_id, make_bundle, pack_anyhow, scored

from clipfold.delivery import registry as module
from clipfold.delivery.format import open_bundle, pack
from clipfold.delivery.index import Index, insert
from clipfold.delivery.registry import Registry

INDEX, LOCK = "registry.sqlite", "registry.lock"


def passes(path):
    with open_bundle(path):
        return []


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def snapshot(registry):
    return {f: f.read_bytes() for f in registry.folder.rglob("*") if f.is_file()}


def test_a_bundle_is_found_by_id_name_alias_and_the_start_of_its_id(registry, tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    entry = registry.add(bundle)
    assert (entry.id, entry.name, entry.architecture) == (bundle_id(bundle), "svm", "svm")
    assert entry.classes == ["calm", "fight"]
    assert entry.metrics == {"roc_auc": [0.9, 0.8, None], "log_loss": [0.3, pytest.approx(0.2), None]}
    assert entry.added.startswith("20")
    assert entry.aliases == []
    registry.promote("svm", check=passes)
    registry.promote("svm", "staging", check=passes)
    promoted = registry.find(entry.id)
    assert promoted.aliases == ["production", "staging"]
    for key in ("svm", "production", "staging", entry.id[:6], entry.id[:15]):
        assert registry.find(key) == promoted
    assert registry.list() == [promoted]


@pytest.mark.parametrize("key", ["", "unknown", "0" * 16, "000000", "%", "' OR 1=1 --", "svm\x00", "a" * 10_000])
def test_an_unknown_key_is_named_with_the_remedy(registry, tmp_path, key):
    registry.add(make_bundle(tmp_path / "bundle"))
    with pytest.raises(ValueError, match=r"bundle is .*: use an id, an alias, a name"):
        registry.find(key)


def test_five_digits_or_two_ids_that_begin_so_are_not_enough(registry, tmp_path):
    entry = registry.add(make_bundle(tmp_path / "bundle"))
    with pytest.raises(ValueError, match=entry.id[:5]):
        registry.find(entry.id[:5])
    twin = entry.id[:6] + ("0" if entry.id[6] != "0" else "1") * 10
    with registry._index.writing() as index:
        insert(index, twin, "twin", {"architecture": "svm", "classes": ["a", "b"], "metrics": []}, "")
    with pytest.raises(ValueError, match="first digits of one id"):
        registry.find(entry.id[:6])
    assert registry.find(entry.id[:7]) == entry


def test_of_several_with_a_name_the_last_added_is_found_and_an_alias_comes_before_names(registry, tmp_path):
    first = registry.add(scored(tmp_path, 1), name="best")
    second = registry.add(scored(tmp_path, 2), name="best")
    assert registry.find("best").id == second.id
    registry.promote(first.id, "best", check=passes)
    assert registry.find("best").id == first.id


def test_the_stored_file_is_the_bundle_from_a_folder_or_a_file(registry, tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    pack(bundle, tmp_path / "a.clipfold")
    entry = registry.add(pack_anyhow(bundle, tmp_path / "by_hand.zip"))
    assert registry.path("svm") == registry.folder / f"objects/{entry.id}.clipfold"
    assert registry.path("svm").read_bytes() == (tmp_path / "a.clipfold").read_bytes()


def test_adding_again_changes_nothing_and_says_that_a_new_name_is_not_taken(registry, tmp_path, caplog):
    bundle = make_bundle(tmp_path / "bundle")
    entry = registry.add(bundle)
    before = snapshot(registry)
    times = {path: path.stat().st_mtime_ns for path in before}
    assert registry.add(bundle) == entry
    assert not caplog.messages
    assert registry.add(bundle, name="other") == entry
    assert caplog.messages == [f"{entry.id} is in the registry already, as svm: that name stays"]
    assert snapshot(registry) == before
    assert {path: path.stat().st_mtime_ns for path in before} == times


@pytest.mark.parametrize("name", ["", "../a", "-x", "a/b", "a\x1b[2J", "x" * 101])
def test_wrong_names_and_aliases_are_refused(registry, tmp_path, name):
    with pytest.raises(ValueError, match="name is"):
        registry.add(make_bundle(tmp_path / "bundle"), name=name)
    registry.add(make_bundle(tmp_path / "bundle"))
    with pytest.raises(ValueError, match="alias is"):
        registry.promote("svm", name, check=passes)


def test_a_damaged_bundle_leaves_nothing(registry, tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    (bundle / "README.md").write_text("other")
    with pytest.raises(ValueError, match=r"README\.md differs"):
        registry.add(bundle)
    assert list((registry.folder / "objects").iterdir()) == []
    with pytest.raises(ValueError, match="add a bundle"):
        registry.list()


# Lists


def test_lists_are_sorted_best_first_and_bundles_without_the_metric_come_last(registry, tmp_path):
    values = {1: {"roc_auc": 0.7}, 2: {"log_loss": 0.4}, 3: {"roc_auc": 0.9, "log_loss": 0.5}, 4: {"roc_auc": None}}
    for number, metrics in values.items():
        registry.add(scored(tmp_path, number, **metrics))

    def numbers(sort_by=None):
        return [int(entry.name[-1]) for entry in registry.list(sort_by)]

    assert numbers() == [4, 3, 2, 1]
    assert numbers("roc_auc") == [3, 1, 4, 2]
    assert numbers("log_loss") == [2, 3, 4, 1]
    with pytest.raises(ValueError, match="sort_by is 'roc': did you mean 'roc_auc'"):
        registry.list("roc")


@pytest.mark.parametrize("metric", ["log_loss", "brier", "ece", "eer"])
def test_of_losses_and_errors_the_lowest_is_best(registry, tmp_path, metric):
    for number, value in enumerate([0.5, 0.1, 0.9]):
        registry.add(scored(tmp_path, number, **{metric: value}))
    assert [entry.metrics[metric][0] for entry in registry.list(metric)] == [0.1, 0.5, 0.9]


def test_a_metric_of_two_decisions_has_two_names(registry, tmp_path):
    rows = [
        {"metric": "accuracy", "decision": d, "value": v, "low": None, "high": None}
        for d, v in (("argmax", 1), ("val", 0))
    ]
    entry = registry.add(make_bundle(tmp_path / "bundle", metrics=rows))
    assert entry.metrics == {"accuracy": [1, None, None], "accuracy.val": [0, None, None]}
    assert registry.list("accuracy.val") == [entry]


# Promotion and removal


def test_a_bundle_whose_golden_test_fails_is_not_promoted(registry, tmp_path):
    good, bad = (registry.add(scored(tmp_path, number)) for number in (1, 2))
    registry.promote(good.id, check=passes)
    with pytest.raises(ValueError, match=r"model_2 \(.*\) is not made production: .*fails here: clip 1 .*; threshold"):
        registry.promote(bad.id, check=lambda path: ["clip 1 differs", "threshold differs"])
    assert registry.find("production").id == good.id


def test_the_golden_test_gets_the_file_of_the_bundle(registry, tmp_path):
    entry, seen = registry.add(make_bundle(tmp_path / "bundle")), []
    registry.promote("svm", check=lambda path: seen.append(path) or [])
    assert seen == [registry.path(entry.id)]


def test_an_alias_moves(registry, tmp_path):
    first, second = (registry.add(scored(tmp_path, number)) for number in (1, 2))
    registry.promote(first.id, check=passes)
    assert registry.promote(second.id, check=passes).aliases == ["production"]
    assert registry.find(first.id).aliases == []


def test_a_bundle_that_is_removed_during_its_golden_test_is_not_promoted(registry, tmp_path):
    registry.add(make_bundle(tmp_path / "bundle"))
    with pytest.raises(ValueError, match="removed meanwhile"):
        registry.promote("svm", check=lambda path: registry.remove("svm") and [])


def test_what_an_alias_names_is_not_removed(registry, tmp_path):
    first, second = (registry.add(scored(tmp_path, number, roc_auc=0.5)) for number in (1, 2))
    registry.promote(first.id, check=passes)
    registry.promote(first.id, "staging", check=passes)
    with pytest.raises(ValueError, match="production, staging names it: promote another, or unalias it"):
        registry.remove(first.id)
    for alias in ("production", "staging"):
        registry.promote(second.id, alias, check=passes)
    assert registry.remove(first.id).id == first.id
    assert [entry.id for entry in registry.list("roc_auc")] == [second.id]
    assert not (registry.folder / f"objects/{first.id}.clipfold").exists()
    assert registry.rebuild() == []
    assert len(registry.list()) == 1


# Several writers

WRITER = """
import sys
from clipfold.delivery.registry import Registry
registry = Registry(sys.argv[1])
for bundle in sys.argv[2:]:
    entry = registry.add(bundle)
    registry.promote(entry.id, check=lambda path: [])
    print(entry.id, flush=True)
"""


def start(registry, bundles):
    command = [sys.executable, "-c", WRITER, str(registry.folder), *map(str, bundles)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_writers_at_once_lose_nothing(registry, tmp_path):
    bundles = [scored(tmp_path, number, roc_auc=number / 40) for number in range(40)]
    shared = bundles[15:25]  # added by both
    writers = [start(registry, bundles[:25]), start(registry, [*shared, *bundles[25:]])]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        if (registry.folder / INDEX).exists():
            now = len(registry.list())
            assert now >= seen
            seen = now
    done = [writer.communicate() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], done
    assert [entry.id for entry in registry.list("roc_auc")] == [bundle_id(bundle) for bundle in reversed(bundles)]
    assert registry.find("production").id in {out.split()[-1] for out, _ in done}
    assert len(list((registry.folder / "objects").iterdir())) == 40
    for bundle in bundles:
        passes(registry.path(bundle_id(bundle)))


@pytest.mark.slow
def test_killed_writers_leave_a_registry_that_works(registry, tmp_path):
    bundles = [scored(tmp_path, number) for number in range(60)]
    dice = random.Random(0)
    kills = 0
    for first in range(0, 60, 5):
        writer = start(registry, bundles[first : first + 5])
        writer.stdout.readline()  # it has begun
        time.sleep(dice.uniform(0, 0.03))
        writer.send_signal(signal.SIGKILL)
        kills += writer.wait() == -signal.SIGKILL
        said = writer.communicate()[0].split()
        here = {entry.id for entry in registry.list()}
        assert {*said} <= here
        for identity in here:
            passes(registry.path(identity))
    assert kills >= 8
    for bundle in bundles:  # finds again what was copied without an entry
        registry.add(bundle)
    assert registry.rebuild() == []
    assert len(registry.list()) == len(list((registry.folder / "objects").iterdir())) == 60


@pytest.mark.parametrize("moment", ["copying", "copied"])
def test_a_bundle_without_entry_is_added_again_or_found_by_rebuild(registry, tmp_path, moment):
    registry.add(scored(tmp_path, 0))
    bundle = scored(tmp_path, 1)
    file = registry.folder / f"objects/{bundle_id(bundle)}.clipfold"
    if moment == "copied":
        pack(bundle, file)
    else:
        file.with_name(f".{file.name}.0123.part").write_bytes(b"half")
    assert len(registry.list()) == 1
    assert registry.rebuild() == []
    assert len(registry.list()) == (2 if moment == "copied" else 1)
    assert registry.add(bundle).id == bundle_id(bundle)
    assert len(registry.list()) == len(list(file.parent.iterdir())) == 2


def test_a_writer_waits_only_so_long(registry, tmp_path, monkeypatch):
    bundle = make_bundle(tmp_path / "bundle")
    monkeypatch.setattr(module, "WAIT_S", 0.2)
    with registry._locked(), pytest.raises(ValueError, match="another process has been writing for 0 s: try again"):
        Registry(registry.folder).add(bundle)
    assert registry.add(bundle).name == "svm"


# Damage and strangers


def damage(registry, content):
    (registry.folder / INDEX).write_bytes(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 5000, "cut"],
)
def test_a_damaged_index_is_said_and_made_again_from_the_bundles(registry, tmp_path, content):
    entries = [registry.add(scored(tmp_path, number, roc_auc=0.5)) for number in range(3)]
    whole = (registry.folder / INDEX).read_bytes()
    damage(registry, whole[: len(whole) // 2] if content == "cut" else content)
    for use in (lambda: registry.find("model_1"), registry.list, lambda: registry.add(tmp_path / "1")):
        with pytest.raises(ValueError, match=r"rebuild"):
            use()
    assert registry.rebuild() == []
    assert sorted(entry.id for entry in registry.list("roc_auc")) == sorted(entry.id for entry in entries)


def test_damage_at_any_byte_raises_nothing_but_a_clear_error(registry, tmp_path):
    entry = registry.add(make_bundle(tmp_path / "bundle"))
    registry.promote("svm", check=passes)
    whole = (registry.folder / INDEX).read_bytes()
    dice, said = random.Random(0), set()
    for _ in range(400):
        broken = bytearray(whole)
        for _ in range(dice.choice([1, 8])):
            broken[dice.randrange(len(whole))] = dice.randrange(256)
        damage(registry, broken)
        for use in (
            lambda: registry.find(entry.id),
            lambda: registry.list("roc_auc"),
            lambda: registry.find("svm").metrics,
        ):
            try:
                use()
            except ValueError as error:
                said.add(str(error))
    assert len(said) > 20
    assert [text for text in said if "registry" not in text and "sort_by" not in text] == []


def test_rebuilding_keeps_names_aliases_and_order_where_the_index_can_be_read(registry, tmp_path):
    first = registry.add(scored(tmp_path, 1), name="mine")
    registry.add(scored(tmp_path, 2))
    gone = registry.add(scored(tmp_path, 3))
    registry.promote("mine", check=passes)
    registry.promote(gone.id, "staging", check=passes)
    registry.path(gone.id).unlink()
    (registry.folder / "objects/notes.txt").write_text("mine")
    registry.path("mine").touch()
    (problem,) = registry.rebuild()
    assert "notes.txt is no bundle" in problem
    assert [entry.name for entry in registry.list()] == ["model_2", "mine"]
    assert registry.find("production").added == first.added
    with pytest.raises(ValueError, match="staging"):
        registry.find("staging")


def test_a_missing_or_exchanged_file_is_said(registry, tmp_path):
    first, second = (registry.add(scored(tmp_path, number)) for number in (1, 2))
    registry.path(first.id).write_bytes(registry.path(second.id).read_bytes())
    with pytest.raises(ValueError, match=f"holds another bundle: remove {first.id}"):
        registry.path(first.id)
    assert len(registry.rebuild()) == 1
    (registry.folder / f"objects/{second.id}.clipfold").unlink()
    with pytest.raises(ValueError, match="is missing: remove"):
        registry.path(second.id)
    assert registry.add(tmp_path / "2").id == second.id
    assert registry.path(second.id).exists()


@pytest.mark.parametrize("use", [lambda r: r.list(), lambda r: r.find("a"), lambda r: r.remove("a")])
def test_reading_a_folder_without_registry_makes_nothing(registry, use):
    with pytest.raises(ValueError, match=f"{registry.folder} has no {INDEX}: add a bundle"):
        use(registry)
    assert not registry.folder.exists()


@pytest.mark.parametrize("name", [INDEX, LOCK, "objects"])
def test_links_in_place_of_its_files_are_not_followed(registry, tmp_path, name):
    bundle, elsewhere = make_bundle(tmp_path / "bundle"), Registry(tmp_path / "elsewhere")
    elsewhere.add(scored(tmp_path, 1))
    before = snapshot(elsewhere)
    registry.folder.mkdir()
    (registry.folder / name).symlink_to(elsewhere.folder / name)
    with pytest.raises(ValueError, match=f"{name}': it is a link"):
        registry.add(bundle)
    assert snapshot(elsewhere) == before


def test_a_linked_bundle_is_not_read(registry, tmp_path):
    entry = registry.add(make_bundle(tmp_path / "bundle"))
    file = registry.path(entry.id).rename(tmp_path / "moved.clipfold")
    (registry.folder / f"objects/{entry.id}.clipfold").symlink_to(file)
    with pytest.raises(ValueError, match="it is a link"):
        registry.path(entry.id)
    assert "it is a link" in registry.rebuild()[0]


def test_pipes_in_place_of_its_files_are_not_waited_for(registry, tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    registry.add(bundle)
    (registry.folder / INDEX).unlink()
    os.mkfifo(registry.folder / INDEX)
    with pytest.raises(ValueError, match="it is a link, or no index"):
        registry.list()


def planted_journal(victim, pages, page=4096):
    """Return a rollback journal that names a file for SQLite to delete: that of a change to several databases.

    Args:
        victim: The file.
        pages: Pages of the database.
        page: Bytes of a page.
    """
    magic, name = bytes.fromhex("d9d505f920a163d7"), os.fsencode(victim)
    header = (magic + struct.pack(">5L", 0, 0, pages, 512, page)).ljust(512, b"\0")
    return header + struct.pack(">L", (1 << 30) // page + 1) + name + struct.pack(">2L", len(name), sum(name)) + magic


def test_planted_journals_delete_nothing(registry, tmp_path):
    registry.add(make_bundle(tmp_path / "bundle"))
    victim, index = tmp_path / "victim", registry.folder / INDEX
    victim.write_bytes(b"mine\0")
    journal = planted_journal(victim, index.stat().st_size // 4096)
    for suffix in ("-journal", "-wal", "-shm"):
        index.with_name(INDEX + suffix).write_bytes(journal)
    registry.find("svm")
    registry.promote("svm", check=passes)
    registry.add(scored(tmp_path, 1))
    registry.rebuild()
    assert victim.exists()
    index.with_name(f"{INDEX}-wal").unlink()
    with sqlite3.connect(index) as plain:  # the attack is real
        plain.execute("SELECT * FROM bundles")
    assert not victim.exists()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more (x)",
        "DROP TABLE metrics",
        "DROP INDEX bundles_by_name",
        "DROP TABLE bundles; CREATE VIEW bundles AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) "
        "SELECT x FROM n",
        "CREATE TRIGGER t AFTER INSERT ON aliases BEGIN DELETE FROM bundles; END",
        "PRAGMA user_version = 2",
        "UPDATE bundles SET id = '../../../../etc/passwd'",
        "UPDATE bundles SET id = x'00', name = 5",
        "UPDATE bundles SET name = char(27) || '[2J'",
        "UPDATE aliases SET alias = char(27) || '[2J'",
        "UPDATE bundles SET added = CAST(x'ff' AS TEXT)",
        "UPDATE metrics SET number = 7",
    ],
)
def test_an_index_that_clipfold_did_not_write_is_refused(registry, tmp_path, change):
    registry.add(make_bundle(tmp_path / "bundle"))
    registry.promote("svm", check=passes)
    with sqlite3.connect(registry.folder / INDEX) as index:
        index.executescript(change)
    index.close()
    with pytest.raises(ValueError, match=r"registry.*rebuild"):
        registry.list("roc_auc")
    assert registry.rebuild() == []
    assert registry.find("svm").classes == ["calm", "fight"]


def test_an_index_that_asks_for_a_second_file_is_read_without_it(registry, tmp_path):
    registry.add(make_bundle(tmp_path / "bundle"))
    with sqlite3.connect(registry.folder / INDEX) as index:
        index.execute("PRAGMA journal_mode = WAL")
    index.close()
    registry.add(scored(tmp_path, 1))
    assert len(registry.list()) == 2
    assert {path.name for path in registry.folder.iterdir()} == {INDEX, LOCK, "objects"}


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"classes": ["\\u001b"], "metrics": {}}', "[" * 100_000])
def test_facts_that_clipfold_did_not_write_are_refused(registry, tmp_path, facts):
    registry.add(make_bundle(tmp_path / "bundle"))
    with sqlite3.connect(registry.folder / INDEX) as index:
        index.execute("UPDATE bundles SET facts = ?", (facts,))
    index.close()
    with pytest.raises(ValueError, match=r"registry: [0-9a-f]{16}"):
        print(registry.find("svm").classes, registry.find("svm").metrics)


def test_a_registry_that_cannot_be_written_can_be_read(registry, tmp_path):
    entry = registry.add(make_bundle(tmp_path / "bundle"))
    before = sorted(registry.folder.rglob("*"))
    os.chmod(registry.folder, 0o555)
    assert registry.find("svm") == entry
    os.chmod(registry.folder, 0o755)
    assert sorted(registry.folder.rglob("*")) == before


def test_a_folder_of_any_name_is_a_registry(tmp_path):
    registry = Registry(tmp_path / "a ?mode=rw#%41 'é")
    entry = registry.add(make_bundle(tmp_path / "bundle"))
    assert registry.find("svm") == entry


def test_a_failed_change_leaves_the_index_as_it_was(registry, tmp_path):
    entry = registry.add(make_bundle(tmp_path / "bundle"))
    index = Index(registry.folder / INDEX)

    def change():
        with index.writing() as open_index:
            open_index.execute("DELETE FROM bundles")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change()
    assert registry.list() == [entry]
