"""Bundles are read back as they were written; what no bundle holds is refused before it is used."""

import json
import os
import resource
import struct
import subprocess
import sys
import warnings
import zipfile

import pytest
from helpers.bundles import FILES, bundle_id, describe, link_member, make_bundle, pack_anyhow

from clipfold.delivery import description
from clipfold.delivery.description import parse_description
from clipfold.delivery.format import open_bundle, pack, read_description, reading, write_description


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def refuses(path, message):
    with pytest.raises(ValueError, match=message), open_bundle(path):
        raise AssertionError("it was opened")


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "bundle")


def test_a_folder_and_the_file_of_it_are_the_same_bundle(bundle, tmp_path):
    pack(bundle, tmp_path / "a.clipfold")
    with reading(bundle) as one, reading(tmp_path / "a.clipfold") as other:
        assert one.id == other.id == bundle_id(bundle)
        assert one.description == other.description == json.loads((bundle / "bundle.json").read_text())
    with open_bundle(bundle) as folder:
        assert folder == bundle
    with open_bundle(tmp_path / "a.clipfold") as folder:
        assert contents(folder) == contents(bundle)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_the_same_bundle_packs_to_the_same_bytes(bundle, tmp_path):
    pack(bundle, tmp_path / "a.clipfold")
    other = make_bundle(tmp_path / "other")
    os.utime(other / "README.md", (0, 0))
    os.chmod(other / "README.md", 0o600)
    pack(other, tmp_path / "b.clipfold")
    pack(tmp_path / "a.clipfold", tmp_path / "c.clipfold")
    assert (tmp_path / "a.clipfold").read_bytes() == (tmp_path / "b.clipfold").read_bytes()
    assert (tmp_path / "a.clipfold").read_bytes() == (tmp_path / "c.clipfold").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.clipfold") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted([*FILES, "bundle.json"])


def test_an_archive_made_by_hand_without_compression_is_a_bundle(bundle, tmp_path):
    path = pack_anyhow(bundle, tmp_path / "a.zip", (zipfile.ZipInfo("fits/"), b""))
    with open_bundle(path) as folder:
        assert contents(folder) == contents(bundle)


# Wrong files


@pytest.mark.parametrize("form", ["folder", "file"])
@pytest.mark.parametrize("content", [b"other", FILES["fits/0/model.skops"][:-1] + b"!", b""])
def test_a_changed_file_is_refused(bundle, tmp_path, form, content):
    (bundle / "fits/0/model.skops").write_bytes(content)
    path = bundle if form == "folder" else pack_anyhow(bundle, tmp_path / "a.clipfold")
    refuses(path, "model.skops differs from its SHA-256")
    with pytest.raises(ValueError, match=r"model\.skops differs"):
        pack(path, tmp_path / "out.clipfold")
    assert not (tmp_path / "out.clipfold").exists()


@pytest.mark.parametrize("form", ["folder", "file"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: (b / "fits/0/more.py").write_text("1"), r"fits/0/more\.py: not listed in bundle\.json"),
        (lambda b: (b / "README.md").unlink(), r"README\.md: missing, but in bundle\.json"),
        (lambda b: (b / "bundle.json").unlink(), r"has no bundle\.json: use a bundle"),
        (lambda b: (b / "bundle.json").write_bytes(b" " * (16 << 20) + b"{}"), "over 16777216 bytes"),
    ],
)
def test_files_and_description_must_agree(bundle, tmp_path, form, change, message):
    change(bundle)
    path = bundle if form == "folder" else pack_anyhow(bundle, tmp_path / "a.clipfold")
    with pytest.raises(ValueError, match=message):
        read_description(path)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/evil",
        "fits/../../evil",
        "fits\\evil",
        "C:evil",
        "./evil",
        "fits//evil",
        ".hidden",
        "a\x00b",
        "a\nb",
    ],
)
def test_members_outside_of_the_bundle_are_refused(bundle, tmp_path, name):
    files = {**describe(bundle)["files"], name: "0" * 64}
    make_bundle(bundle, files=files)
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    path = pack_anyhow(bundle, tmp_path / "a.clipfold", (info, b"evil"))
    refuses(path, "named by letters, digits")
    content = (bundle / "bundle.json").read_bytes()  # and where no such file is there
    with pytest.raises(ValueError, match=r"named by letters, digits|without control characters"):
        parse_description(content, "bundle.json")
    assert not list(tmp_path.parent.rglob("*evil*"))


def test_a_fit_outside_of_the_bundle_is_refused(bundle):
    for folder in ("..", "/etc", "fits/1", ""):
        make_bundle(bundle, fits=[{"folder": folder, "temperature": 1.0, "bias": [0.0, 0.0]}])
        refuses(bundle, f"fits: folder is '{folder}': files must list")


@pytest.mark.parametrize("target", ["/etc/passwd", "README.md", "nowhere"])
def test_links_in_a_folder_are_refused(bundle, target):
    (bundle / "golden/expected.json").unlink()
    (bundle / "golden/expected.json").symlink_to(target)
    refuses(bundle, "golden/expected.json': it is a link or no file")


def test_linked_folders_in_a_folder_are_refused(bundle, tmp_path):
    (bundle / "golden").rename(tmp_path / "golden")
    (bundle / "golden").symlink_to(tmp_path / "golden")
    refuses(bundle, "golden': it is a link or no file")


def test_a_link_as_the_description_is_refused(bundle, tmp_path):
    (bundle / "bundle.json").rename(tmp_path / "bundle.json")
    (bundle / "bundle.json").symlink_to(tmp_path / "bundle.json")
    refuses(bundle, r"bundle\.json': it is a link or no file")


def test_links_in_an_archive_are_refused(bundle, tmp_path):
    path = pack_anyhow(bundle, tmp_path / "a.clipfold", link_member("README.md", "/etc/passwd"), skip=["README.md"])
    refuses(path, "README.md': it is a link or no file")


@pytest.mark.parametrize("place", ["inside", "itself"])
def test_a_pipe_is_refused_and_never_waited_for(bundle, tmp_path, place):
    path = bundle / "README.md" if place == "inside" else tmp_path / "a.clipfold"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    refuses(bundle if place == "inside" else path, "no file|no regular file")


def test_members_twice_are_refused(bundle, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = pack_anyhow(bundle, tmp_path / "a.clipfold", ("README.md", FILES["README.md"]))
    refuses(path, "README.md': it is there twice")


def test_a_file_in_place_of_a_folder_is_refused(bundle, tmp_path):
    digest = describe(bundle)["files"]["README.md"]
    make_bundle(bundle, files={**describe(bundle)["files"], "fits/0": digest})
    path = pack_anyhow(bundle, tmp_path / "a.clipfold", ("fits/0", FILES["README.md"]))
    refuses(path, "takes the place of another file")


# Wrong archives


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused(bundle, tmp_path, method):
    path = pack_anyhow(bundle, tmp_path / "a.clipfold", method=method)
    refuses(path, "it is compressed: pack the bundle without compression")


def test_members_that_share_bytes_are_refused(bundle, tmp_path):
    """A bomb without compression: all entries of the directory point to one large member (Fifield 2019)."""
    content = b"x" * (1 << 20)
    (bundle / "big").write_bytes(content)
    files = describe(bundle)["files"]
    make_bundle(bundle, files=files | {f"big{n}": files["big"] for n in range(50)})
    path = pack_anyhow(bundle, tmp_path / "a.clipfold")
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.getinfo("big")
        for number in range(50):
            twin = zipfile.ZipInfo(f"big{number}")
            twin.file_size = twin.compress_size = first.file_size
            twin.CRC, twin.header_offset = first.CRC, first.header_offset
            archive.filelist.append(twin)
            archive._didModify = True
    assert path.stat().st_size < 2 << 20
    refuses(path, "53.* bytes': the bundle has only")


def test_an_encrypted_member_is_refused(bundle, tmp_path):
    path = pack_anyhow(bundle, tmp_path / "a.clipfold")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refuses(path, "it is encrypted")


def test_too_many_files_are_refused(bundle, tmp_path):
    more = [(f"more/{n}", b"") for n in range(10_001)]
    refuses(pack_anyhow(bundle, tmp_path / "a.clipfold", *more), "holds at most 10000")
    (bundle / "more").mkdir()
    for name, _ in more:
        (bundle / name).touch()
    refuses(bundle, "files is 'over 10000'")
    other = make_bundle(tmp_path / "other", files={f"a{n}": "0" * 64 for n in range(10_005)})
    refuses(other, "files is 10005: a bundle holds at most 10000")


def test_a_directory_of_absurd_size_is_not_read(bundle, tmp_path):
    path = tmp_path / "a.clipfold"
    size = 1 << 30
    with open(path, "wb") as file:  # sparse: takes no disk
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, size, 0, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refuses(path, "is no bundle, or damaged .*at most 4194304 are read")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize("name", ["a.clipfold", "a.mp4"])
@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no archive at all", b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_archive_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refuses(tmp_path / name, "is no bundle, or damaged")


def test_a_missing_bundle_is_named(tmp_path):
    refuses(tmp_path / "nowhere", "nowhere': there is no such file or folder")


def test_damage_at_any_byte_is_noticed_or_harmless(bundle, tmp_path):
    pack(bundle, tmp_path / "whole.clipfold")
    whole, path = (tmp_path / "whole.clipfold").read_bytes(), tmp_path / "a.clipfold"
    refused = 0
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            with open_bundle(path) as folder:
                assert contents(folder) == contents(bundle)
        except ValueError:
            refused += 1
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        refuses(path, "is no bundle, or damaged")
    assert refused > len(whole) / 7 * 0.8


# Wrong descriptions

WRONG = {
    "format": [4, "1", 1.0, True, None],
    "name": ["", "../a", "-rf", "a" * 101, "a\nb", "a\x1b[2J", 5, None, "a/b"],
    "architecture": ["", "os.system", 3],
    "input": ["video", None],
    "classes": [[], ["calm"], ["calm", "calm"], "calm", ["calm", 1], ["calm", "a\x1b]"], {"calm": 1}],
    "positive": ["other", None, 1],
    "threshold": [None, -0.1, 1.1, "0.5", True, [0.5]],
    "fits": [
        [],
        {},
        [{}],
        [{"folder": "fits/0"}],
        [{"folder": "fits/0", "temperature": 0, "bias": [0, 0]}],
        [5],
        [{"folder": "fits/0", "temperature": 1, "bias": [0]}],
    ],
    "final": [0, "no", None],
    "settings": [[], None, "C"],
    "decode": [[]],
    "metrics": [
        {},
        [5],
        [{"metric": "a", "decision": "", "value": "0.5", "low": None, "high": None}],
        [{"metric": "a", "decision": "", "value": 10**400, "low": None, "high": None}],
        [{"metric": "a", "decision": "", "value": 1, "low": None, "high": None}] * 2,
        [{"metric": "a"}],
    ],
    "training": [{}, [], {"videos": -1, "groups": 4, "folds": 2, "labels": {}, "digest": ""}],
    "leakage": [None, []],
    "licences": ["", [1]],
    "versions": [[], {"python": 3}, {"\x1b": "3"}],
    "created": ["today", 2024, ""],
    "tolerance": [-0.01, 0.06, "0.01", None],
    "files": [[], {"a": "00"}, {"a": None}, {"a": "G" * 64}],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_a_wrong_value_is_named_with_its_key(bundle, key, value):
    make_bundle(bundle, **{key: value})
    with pytest.raises(ValueError, match=f"bundle.json: {key}"):
        read_description(bundle)


def test_every_key_is_needed_and_further_ones_pass(bundle):
    complete = describe(bundle)
    for key in complete:
        (bundle / "bundle.json").write_text(json.dumps({k: v for k, v in complete.items() if k != key}))
        with pytest.raises(ValueError, match=rf"bundle\.json has no {key}|format is None"):
            read_description(bundle)
    write_description(bundle, complete | {"later": 5})
    assert read_description(bundle)["later"] == 5


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b'{"format": NaN}', b"[" * 100_000, b'{"format": 1' + b"0" * 5000 + b"}"]
)
def test_what_is_no_description_is_refused(bundle, content):
    (bundle / "bundle.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"bundle\.json"):
        read_description(bundle)


def test_infinite_numbers_are_refused(bundle):
    text = json.dumps(describe(bundle)).replace('"threshold": 0.5', '"threshold": 1e999')
    (bundle / "bundle.json").write_text(text)
    with pytest.raises(ValueError, match="threshold is inf"):
        read_description(bundle)


def test_three_classes_have_no_threshold(bundle):
    fits = [{"folder": "fits/0", "temperature": 1.0, "bias": [0.0, 0.1, -0.1]}]
    three = {"classes": ["a", "b", "c"], "positive": None, "threshold": None, "fits": fits}
    make_bundle(bundle, **three)
    assert read_description(bundle)["classes"] == ["a", "b", "c"]
    make_bundle(bundle, **three | {"threshold": 0.5})
    with pytest.raises(ValueError, match=r"threshold is 0\.5: .*null for more"):
        read_description(bundle)


def test_a_wrong_description_is_not_written(bundle):
    before = (bundle / "bundle.json").read_bytes()
    with pytest.raises(ValueError, match="final is 'no'"):
        write_description(bundle, describe(bundle, final="no"))
    assert (bundle / "bundle.json").read_bytes() == before


def test_bundles_of_older_formats_load(bundle, tmp_path, monkeypatch):
    """As if a later version had renamed a key, and then another: what was written before is read as its own."""
    pack(bundle, tmp_path / "old.clipfold")
    facts = json.loads((bundle / "bundle.json").read_text())
    monkeypatch.setattr(description, "FORMAT", 4)
    monkeypatch.setattr(
        description,
        "UPGRADES",
        {2: lambda old: old | {"leak": old["leakage"]}, 3: lambda old: old | {"leakage": f"{old['leak']}!"}},
    )
    for path in (bundle, tmp_path / "old.clipfold"):
        with open_bundle(path) as folder:
            assert read_description(folder) == facts | {"format": 4, "leak": "", "leakage": "!"}
    (bundle / "bundle.json").write_text(json.dumps(facts | {"format": 5}))
    refuses(bundle, "format is 5: this version of clipfold reads 2 to 4: use the version that made")
    facts.pop("leakage")
    (bundle / "bundle.json").write_text(json.dumps(facts))
    refuses(bundle, "is no description of format 2")


def test_fits_of_the_first_format_have_no_bias(bundle):
    facts = json.loads((bundle / "bundle.json").read_text())
    old = facts | {"format": 1, "fits": [{"folder": "fits/0", "temperature": 1.5}]}
    (bundle / "bundle.json").write_text(json.dumps(old))
    assert read_description(bundle)["fits"] == [{"folder": "fits/0", "temperature": 1.5, "bias": [0.0, 0.0]}]


@pytest.mark.parametrize("module", ["format", "registry"])
def test_bundles_are_read_with_the_standard_library_only(module):
    code = (
        f"import sys; before = set(sys.modules); import clipfold.delivery.{module}; print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) == {"clipfold"}
