"""Test which images of a folder or archive are its frames, in which order, and what is refused."""

import os
import tarfile
import zipfile

import numpy as np
import pytest
from helpers.pictures import encoded, pixels, write_folder, write_tar, write_zip

from clipfold.image.frames import open_frames
from clipfold.image.source import file_size, kind_of, source_digest, stamp_of
from clipfold.settings import ProbeSettings
from clipfold.status import Unusable
from clipfold.video.probe import probe_video

ONE = encoded(pixels())
NAMES = ["img1.png", "img2.png", "img10.png", "img100.png"]
WRITERS = {"": write_folder, ".zip": write_zip, ".tar": write_tar}


def names_in(path):
    with open_frames(str(path)) as frames:
        return frames.names


def refusal(path):
    facts = probe_video(str(path), ProbeSettings())
    return facts["status"], facts["reason"]


@pytest.mark.parametrize("suffix", WRITERS)
def test_frames_are_in_the_natural_order_of_their_names(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"a{suffix}", dict.fromkeys(reversed(NAMES), ONE))
    assert kind_of(str(path)) == "frames"
    assert names_in(path) == NAMES


@pytest.mark.parametrize("suffix", WRITERS)
def test_hidden_files_are_ignored_and_others_counted(tmp_path, suffix):
    files = dict.fromkeys([*NAMES, ".hidden.png", "._img1.png", "Thumbs.db", "notes.txt", "more.zip"], ONE)
    path = WRITERS[suffix](tmp_path / f"a{suffix}", files)
    with open_frames(str(path)) as frames:
        assert frames.names == NAMES
        assert sorted(frames.ignored) == ["more.zip", "notes.txt"]


@pytest.mark.parametrize("suffix", WRITERS)
def test_probing_says_what_it_says_of_a_video(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"a{suffix}", {name: encoded(pixels(i)) for i, name in enumerate(NAMES)})
    facts = probe_video(str(path), ProbeSettings(), fps=10.0)
    assert facts["status"] == "ok"
    assert (facts["frames"], facts["fps"], facts["duration"], facts["time_base"]) == (4, 10.0, 0.4, "1/10")
    assert (facts["pts"], facts["keyframes"]) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert (facts["width"], facts["height"], facts["codec"]) == (48, 32, "png")
    assert probe_video(str(path), ProbeSettings())["fps"] == 25.0
    assert probe_video(str(path), ProbeSettings(min_frames=5))["status"] == "too_short"
    assert probe_video(str(path), ProbeSettings(max_frames=3))["status"] == "too_large"
    assert probe_video(str(path), ProbeSettings(max_pixels=48 * 32 - 1))["status"] == "too_large"


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_broken_image_makes_the_video_corrupt_and_is_named(tmp_path, suffix):
    for broken in NAMES:
        files = dict.fromkeys(NAMES, ONE) | {broken: b"no image"}
        status, reason = refusal(WRITERS[suffix](tmp_path / f"{broken}{suffix}", files))
        assert status == "corrupt"
        assert broken in reason


def test_the_digest_is_that_of_names_and_bytes_wherever_they_are(tmp_path):
    files = {name: encoded(pixels(i)) for i, name in enumerate(NAMES)}
    digests = {source_digest(str(write(tmp_path / f"a{suffix}", files))) for suffix, write in WRITERS.items()}
    assert len(digests) == 1
    write_folder(tmp_path / "b", {f"x{name}": data for name, data in files.items()})
    write_folder(tmp_path / "c", files | {"img2.png": encoded(pixels(9))})
    assert len({*digests, source_digest(str(tmp_path / "b")), source_digest(str(tmp_path / "c"))}) == 3


def test_the_stamp_sees_a_changed_file_of_a_folder(tmp_path):
    folder = write_folder(tmp_path / "a", dict.fromkeys(NAMES, ONE))
    seen = {stamp_of(str(folder))}
    own = folder.stat()
    os.utime(folder / "img2.png", ns=(0, 0))
    seen.add(stamp_of(str(folder)))
    (folder / "img2.png").rename(folder / "img3.png")
    os.utime(folder, ns=(own.st_atime_ns, own.st_mtime_ns))
    seen.add(stamp_of(str(folder)))
    (folder / "notes.txt").write_text("others do not count")
    assert stamp_of(str(folder)) in seen
    assert len(seen) == 3


def test_links_may_not_leave_the_folder(tmp_path):
    outside = write_folder(tmp_path / "outside", {"secret.png": ONE})
    folder = write_folder(tmp_path / "a", dict.fromkeys(NAMES, ONE))
    (folder / "img0.png").symlink_to("img2.png")
    assert names_in(folder)[0] == "img0.png"
    for target in (outside / "secret.png", "/dev/zero", folder / ".." / "outside" / "secret.png", "gone.png"):
        (folder / "img0.png").unlink()
        (folder / "img0.png").symlink_to(target)
        assert refusal(folder)[0] == "refused"
    (folder / "img0.png").unlink()
    os.mkfifo(folder / "img0.png")
    assert refusal(folder) == ("refused", "image 'img0.png' is no regular file")


def test_only_a_file_has_a_size_and_only_a_file_or_a_folder_a_stamp(tmp_path):
    (tmp_path / "file").write_bytes(b"1234")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    folder = write_folder(tmp_path / "folder", {NAMES[0]: ONE})
    places = [str(tmp_path / name) for name in ("file", "link", "pipe", "gone", "file/inside", "nul\0")]
    assert [file_size(path) for path in [*places, str(folder)]] == [4, 4, None, None, None, None, None]
    stamps = [stamp_of(path) for path in places]
    assert stamps[0] == stamps[1] != ""
    assert stamps[2:] == ["", "", "", ""]
    assert stamp_of(str(folder)).startswith(f"{len(ONE)}-")


def test_a_linked_folder_is_a_folder(tmp_path):
    folder = write_folder(tmp_path / "a", dict.fromkeys(NAMES, ONE))
    (tmp_path / "b").symlink_to(folder)
    assert names_in(tmp_path / "b") == NAMES


def bad_zips(folder):
    """Name, zip file, status and words of the reason."""

    def plain(name, files, method=zipfile.ZIP_DEFLATED):
        return write_zip(folder / f"{name}.zip", files, method)

    yield plain("absolute", {"/img1.png": ONE, "img2.png": ONE}), "refused", "leads out"
    yield plain("parent", {"../img1.png": ONE, "img2.png": ONE}), "refused", "leads out"
    yield plain("deep", {"a/../../img1.png": ONE}), "refused", "leads out"
    yield plain("windows", {"C:\\img1.png": ONE}), "refused", "leads out"
    yield plain("text_parent", {"../notes.txt": b"x", "img2.png": ONE}), "refused", "leads out"
    yield plain("folders", {"a/img1.png": ONE, "b/img1.png": ONE}), "unreadable", "2 folders"
    yield plain("nested", {"more.zip": ONE, "more.tar": ONE}), "unreadable", "without images; others: 2"
    yield plain("none", {}), "unreadable", "without images"
    yield plain("bzip2", {"img1.png": ONE}, zipfile.ZIP_BZIP2), "unreadable", "method 12"
    yield plain("lzma", {"img1.png": ONE}, zipfile.ZIP_LZMA), "unreadable", "method 14"
    path = plain("twice", {"img1.png": ONE, "img2.png": ONE})
    path.write_bytes(path.read_bytes().replace(b"img2.png", b"img1.png"))
    yield path, "unreadable", "several images 'img1.png'"
    path = folder / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("img1.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    yield path, "refused", "a link"
    whole = plain("whole", {"img1.png": ONE, "img2.png": ONE}).read_bytes()
    (folder / "whole.zip").unlink()
    for name, data, status, words in (
        ("encrypted", whole.replace(b"PK\1\2\24\3\24\0\0\0", b"PK\1\2\24\3\24\0\1\0"), "unreadable", "encrypted"),
        ("cut", whole[:-30], "unreadable", "damaged"),
        ("text", b"no zip file", "unreadable", "damaged"),
        ("flipped", whole[:60] + bytes(20) + whole[80:], "corrupt", "img1.png"),
    ):
        (folder / f"{name}.zip").write_bytes(data)
        yield folder / f"{name}.zip", status, words
    # Says that it holds 8 GB: by the sum of sizes, before anything is unpacked.
    huge = whole.replace(len(ONE).to_bytes(4, "little"), (1 << 32 - 1).to_bytes(4, "little"))
    (folder / "huge.zip").write_bytes(huge)
    yield folder / "huge.zip", "too_large", ""
    small = whole.replace(len(ONE).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    (folder / "lying.zip").write_bytes(small)
    yield folder / "lying.zip", "corrupt", "img1.png"


def bad_tars(folder):
    def special(name, kind, target=""):
        path = folder / f"{name}.tar"
        with tarfile.open(path, "w") as archive:
            info = tarfile.TarInfo("img1.png")
            info.type, info.linkname = kind, target
            archive.addfile(info)
        return path

    yield write_tar(folder / "absolute.tar", {"/img1.png": ONE}), "refused", "leads out"
    yield write_tar(folder / "parent.tar", {"../img1.png": ONE}), "refused", "leads out"
    yield write_tar(folder / "twice.tar", {"img1.png": ONE, "./img1.png": ONE}), "unreadable", "several images"
    yield write_tar(folder / "nested.tar", {"a.tar": ONE}), "unreadable", "without images"
    yield write_tar(folder / "packed.tar", {"img1.png": ONE}, "w:gz"), "unreadable", "not a plain tar"
    yield special("symlink", tarfile.SYMTYPE, "/etc/passwd"), "refused", "a link"
    yield special("hardlink", tarfile.LNKTYPE, "other.png"), "refused", "a link"
    yield special("device", tarfile.CHRTYPE), "refused", "a device"
    yield special("fifo", tarfile.FIFOTYPE), "refused", "a device"
    whole = write_tar(folder / "whole.tar", {"img1.png": ONE, "img2.png": ONE}).read_bytes()
    (folder / "whole.tar").unlink()
    second = 512 + -(-len(ONE) // 512) * 512
    for name, data, status, words in (
        ("cut", whole[: second + 600], "truncated", "ends"),
        ("header", whole[:second] + b"x" * 512 + whole[second + 512 :], "corrupt", "damaged at byte"),
        ("text", b"no tar file", "unreadable", "not a plain tar"),
    ):
        (folder / f"{name}.tar").write_bytes(data)
        yield folder / f"{name}.tar", status, words


@pytest.mark.parametrize("cases", [bad_zips, bad_tars])
def test_bad_archives_are_typed(tmp_path, cases):
    found = [(path.name, *refusal(path), status, words) for path, status, words in cases(tmp_path)]
    assert [each for each in found if each[1] != each[3] or each[4] not in each[2]] == []


def test_a_folder_without_images_says_what_is_in_it(tmp_path):
    assert refusal(write_folder(tmp_path / "a", {})) == ("unreadable", "a folder without images")
    reason = "a folder without images; others: 1, such as 'a.txt'"
    assert refusal(write_folder(tmp_path / "b", {"a.txt": b""})) == ("unreadable", reason)
    assert refusal(tmp_path / "gone.zip")[0] == "missing"
    (tmp_path / "c.zip").touch()
    assert refusal(tmp_path / "c.zip")[0] in ("empty", "unreadable")


def test_pixels_come_out_as_they_went_in(tmp_path):
    from clipfold.image.read import read_image

    path = write_zip(tmp_path / "a.zip", {f"clip/{i}.png": encoded(pixels(i)) for i in range(12)})
    with open_frames(str(path)) as frames:
        for index in range(12):
            np.testing.assert_array_equal(read_image(frames.read(index), 10**6).pixels, pixels(index))


def test_open_frames_of_something_else_is_typed(tmp_path):
    with pytest.raises(Unusable, match="not a regular file"), open_frames(str(tmp_path / "no.zip")):
        pass
