"""Test that a member of a tar file is read in place, and nothing but the member."""

import io
import tarfile

import numpy as np
import pytest
from helpers.corpus.movies import movie
from helpers.pictures import encoded, pixels, write_tar

from clipfold.image.source import kind_of, source_digest, stamp_of
from clipfold.manifest.read import Video, missing_files
from clipfold.settings import ProbeSettings
from clipfold.status import Unusable
from clipfold.storage.hashing import file_digest
from clipfold.storage.members import find_member, open_source, split_member
from clipfold.video.decode import decode_video
from clipfold.video.probe import probe_video
from clipfold.video.stream import Stream
from clipfold.video.views import build_views

VIEWS = build_views({"clips": {"kind": "uniform", "frames": 5}}, 32)
LONG = "a folder/" + "long name " * 20 + "é.mp4"


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """A tar file as WebDataset writes them, and the same videos as files."""
    folder = tmp_path_factory.mktemp("shard")
    videos = {f"{i}.{suffix}": movie(folder / f"{i}.{suffix}") for i, suffix in enumerate(["mp4", "mkv", "avi", "ts"])}
    for name, data in videos.items():
        (folder / name).write_bytes(data)
    labels = {f"{i}.cls": b"1" for i in range(4)}
    others = {LONG: videos["0.mp4"], "empty.mp4": b"", "cut.mp4": videos["0.mp4"][:2000]}
    write_tar(folder / "shard-000.tar", videos | labels | others)
    return folder


@pytest.mark.parametrize("name", ["0.mp4", "1.mkv", "2.avi", "3.ts"])
def test_a_video_in_a_tar_file_is_the_same_as_the_file(shard, name):
    alone, inside = str(shard / name), f"{shard}/shard-000.tar/{name}"
    facts = {path: probe_video(path, ProbeSettings()) for path in (alone, inside)}
    assert facts[alone]["status"] == "ok"
    assert {key: facts[inside][key] for key in facts[alone] if key != "stamp"} == {
        key: value for key, value in facts[alone].items() if key != "stamp"
    }
    assert facts[inside]["digest"] == file_digest(alone)
    clips = [decode_video(Stream.of(each | {"id": "a", "path": path}), VIEWS) for path, each in facts.items()]
    np.testing.assert_array_equal(clips[0].arrays["clips"], clips[1].arrays["clips"])


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        (LONG, "ok", ""),
        ("empty.mp4", "empty", "0 bytes"),
        ("cut.mp4", "", ""),
        ("no.mp4", "missing", "shard-000.tar has no member 'no.mp4'"),
        ("../0.mp4", "missing", "has no member"),
        ("0.cls", "unreadable", ""),
    ],
)
def test_members_are_typed_as_files_are(shard, name, status, words):
    facts = probe_video(f"{shard}/shard-000.tar/{name}", ProbeSettings())
    assert facts["status"] == status or (not status and facts["status"] in ("truncated", "unreadable"))
    assert words in facts["reason"]


def test_an_image_in_a_tar_file_is_read(tmp_path):
    write_tar(tmp_path / "a.tar", {"cat/1.png": encoded(pixels())})
    facts = probe_video(f"{tmp_path}/a.tar/cat/1.png", ProbeSettings(), "image")
    assert (facts["status"], facts["width"], facts["container"]) == ("ok", 48, "image")


def test_a_range_behaves_as_a_file(tmp_path):
    data = bytes(range(256)) * 40
    write_tar(tmp_path / "a.tar", {"before": b"x" * 999, "it": data, "after": b"y" * 999})
    with open_source(f"{tmp_path}/a.tar/it") as file, io.BytesIO(data) as expected:
        for offset, whence in ((100, 0), (50, 1), (-300, 2), (0, 2), (9, 0), (20_000, 0)):
            assert file.seek(offset, whence) == expected.seek(offset, whence)
            assert file.read(600) == expected.read(600)
            assert file.tell() == expected.tell()
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
    assert file.closed


def test_closed_archives_say_what_to_do(tmp_path):
    write_tar(tmp_path / "a.tar.gz", {"0.mp4": b"x"}, "w:gz")
    facts = probe_video(f"{tmp_path}/a.tar.gz/0.mp4", ProbeSettings())
    assert facts["status"] == "unreadable"
    assert "unpack it, or make it a plain .tar" in facts["reason"]


def test_links_devices_and_several_members_of_a_name_are_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("device", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(f"{name}.mp4")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("twice.mp4"))
    for name, status in (("link", "refused"), ("hard", "refused"), ("device", "refused"), ("twice", "unreadable")):
        assert probe_video(f"{tmp_path}/a.tar/{name}.mp4", ProbeSettings())["status"] == status


def test_members_before_the_damage_of_an_archive_are_usable(shard, tmp_path):
    whole = (shard / "shard-000.tar").read_bytes()
    member = find_member(str(shard / "shard-000.tar"), "1.mkv")
    (tmp_path / "cut.tar").write_bytes(whole[: member.offset + member.size // 2])
    assert probe_video(f"{tmp_path}/cut.tar/0.mp4", ProbeSettings())["status"] == "ok"
    assert probe_video(f"{tmp_path}/cut.tar/1.mkv", ProbeSettings())["status"] == "truncated"
    assert probe_video(f"{tmp_path}/cut.tar/2.avi", ProbeSettings())["status"] == "truncated"
    with pytest.raises(Unusable, match="archive"):
        find_member(f"{tmp_path}/cut.tar", "2.avi")


def test_a_member_is_there_if_its_archive_is(shard):
    rows = [Video(path, path, "x", path) for path in ("shard-000.tar/0.mp4", "gone.tar/0.mp4", "no.mp4")]
    assert missing_files(rows, shard) == ["gone.tar/0.mp4", "no.mp4"]
    assert split_member(f"{shard}/0.mp4/1.mp4") is None
    assert kind_of(f"{shard}/shard-000.tar/0.mp4") == "file"


def test_the_stamp_is_that_of_the_archive_and_the_digest_that_of_the_member(shard, tmp_path):
    videos = {name: (shard / name).read_bytes() for name in ("0.mp4", "1.mkv")}
    path = f"{write_tar(tmp_path / 'a.tar', videos)}/0.mp4"
    stamp, digest = stamp_of(path), source_digest(path)
    write_tar(tmp_path / "a.tar", videos | {"more.mp4": b"more"})
    assert stamp_of(path) != stamp
    assert source_digest(path) == digest
