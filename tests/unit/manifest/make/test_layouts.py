"""`clipfold make-manifest`: each layout from a tree to a plan of a run, in two commands."""

import json
import os
import shlex
import tarfile
from pathlib import Path

import pytest
from helpers import layouts
from snakemake.cli import parse_config

from clipfold.cli import app
from clipfold.manifest.make.found import Options
from clipfold.manifest.make.kinds import KINDS, find_rows
from clipfold.manifest.make.write import described, next_command, write_manifest
from clipfold.manifest.read import missing_files, read_extras, read_manifest
from clipfold.plan import Plan

LAYOUTS = {
    "folders": (layouts.folders, "", {}),
    "folders of images": (layouts.images, "", {"modality": "image"}),
    "ucf101": (layouts.ucf101, "", {}),
    "hmdb51": (layouts.hmdb51, "", {}),
    "kinetics": (layouts.kinetics, "", {}),
    "mmaction": (layouts.mmaction, "", {}),
    "mmaction frames": (layouts.mmaction_frames, "", {}),
    "slowfast": (layouts.slowfast, "", {"classes": "ids.json"}),
    "faceforensics": (layouts.faceforensics, "", {}),
    "webdataset": (layouts.webdataset, "", {"classes": "classes.txt"}),
    "huggingface": (layouts.huggingface, "", {"group": "person"}),
    "huggingface lines": (layouts.huggingface_lines, "", {}),
}


def made(layout, root, output=None, **options):
    """Make a tree and its manifest; returns what was found, and the manifest."""
    make, _, usual = LAYOUTS[layout]
    make(root)
    options = {name: root / value if name == "classes" else value for name, value in (usual | options).items()}
    found = find_rows(layout.split()[0], root, Options(**options))
    output = output or root / "videos.csv"
    write_manifest(found, output, force=False)
    return found, output


def planned(found, output):
    """Follow the command that is printed, as Snakemake does, up to the plan of the run."""
    words = shlex.split(next_command(found, output))
    return Plan.from_config(parse_config(words[words.index("--config") + 1 :]), [Path("/nowhere")])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_next_command_plans_a_run_with_every_row(layout, tmp_path):
    found, output = made(layout, tmp_path / "it's a #1 tree: é", tmp_path / "elsewhere {a}" / "my: list, #2.csv")
    plan = planned(found, output)
    assert len(plan.videos) == len(found.rows)
    inside_tars = [v for v in plan.videos if ".tar/" in v.path]
    assert [v for v in missing_files(plan.videos, Path()) if not inside_tars] == []
    assert all(not os.path.isabs(line) for line in (v.id for v in plan.videos))
    official = {"ucf101", "hmdb51", "kinetics", "mmaction", "slowfast", "faceforensics", "webdataset"}
    assert plan.config.splits.scheme == (
        "column" if layout.split()[0] in official or layout == "huggingface" else "grouped"
    )
    assert plan.config.modality == ("image" if layout in ("folders of images", "huggingface lines") else "video")


def test_all_kinds_are_tested_and_shown_in_help():
    assert {layout.split()[0] for layout in LAYOUTS} == {*KINDS}
    from clipfold.cli_manifest import EXAMPLES

    assert all(f"make-manifest {kind} " in EXAMPLES for kind in KINDS)
    assert app


def by_name(output):
    return {os.path.basename(video.path): video for video in read_manifest(output)}


# One test per layout: what is known of its rows


def test_folders_are_classes_and_names_survive(tmp_path):
    found, output = made("folders", tmp_path)
    assert len(read_manifest(output)) == len(found.rows) == 20
    assert by_name(output)["clip 3, take #1 é.mp4"].label in ("fight", "no fight")
    assert "groups: none found: the run proposes some" in described(found)
    assert {v.label for v in read_manifest(output)} == {"fight", "no fight"}


def test_folders_named_for_splits_are_splits(tmp_path):
    for split in ("train", "val"):
        layouts.touch(tmp_path, *(f"{split}/{label}/{split}{n}.avi" for label in "ab" for n in range(4)))
    found = find_rows("folders", tmp_path, Options())
    assert {row["split"] for row in found.rows} == {"train", "test"}
    assert "val became test" in described(found)


def test_folders_below_a_class_are_groups_unless_one_is_large(tmp_path):
    layouts.touch(tmp_path, *(f"{label}/camera {n}/{m}.mp4" for label in "ab" for n in range(6) for m in range(3)))
    found = find_rows("folders", tmp_path, Options())
    assert len({row["group"] for row in found.rows}) == 6
    layouts.touch(tmp_path, *(f"c/method/{m}.mp4" for m in range(30)))
    found = find_rows("folders", tmp_path, Options())
    assert not any(row.get("group") for row in found.rows)
    assert {row["folder"] for row in found.rows} >= {"method", "camera 1"}


def test_a_folder_of_frames_or_an_archive_is_one_video(tmp_path):
    for label in "ab":
        layouts.touch(tmp_path, *(f"{label}/video {n}/{i:04}.png" for n in range(3) for i in range(5)))
        layouts.touch(tmp_path, f"{label}/packed.zip")
    found = find_rows("folders", tmp_path, Options())
    assert len(found.rows) == 8
    assert str(tmp_path / "a/video 0") in {row["path"] for row in found.rows}


def test_images_in_a_class_folder_need_a_word(tmp_path):
    layouts.images(tmp_path)
    with pytest.raises(ValueError, match=r"the class folder cat holds 8 images: .* add --modality image"):
        find_rows("folders", tmp_path, Options())


def test_ucf101_takes_the_official_split_and_the_recordings(tmp_path):
    found, output = made("ucf101", tmp_path)
    plan = planned(found, output)
    assert len(plan.videos) == 160
    assert sum(split == "test" for split in plan.given_splits.values()) == 40
    assert by_name(output)["v_ActionC_g07_c02.avi"].group == "ActionC g07"
    assert len({v.group for v in plan.videos}) == 80
    assert "160 rows in 10 classes: train 120, test 40" in described(found)


def test_ucf101_with_lists_and_videos_apart(tmp_path):
    layouts.ucf101(tmp_path)
    with pytest.raises(ValueError, match="nothing has a place in the manifest"):
        find_rows("ucf101", tmp_path / "ucfTrainTestlist", Options())
    (tmp_path / "UCF-101/ActionA/v_ActionA_g01_c01.avi").unlink()
    layouts.touch(tmp_path, "UCF-101/ActionA/v_ActionA_g25_c01.avi", "UCF-101/ActionB/notes.pdf")
    found = find_rows("ucf101", tmp_path / "ucfTrainTestlist", Options(videos=tmp_path / "UCF-101"))
    assert len(found.rows) == 159
    said = described(found)
    assert "not placed: 1 (listed, but no such video): ActionA/v_ActionA_g01_c01.avi" in said
    assert "not placed: 1 (in no list of split 1): ActionA/v_ActionA_g25_c01.avi" in said
    assert "not placed: 1 (not a video by the suffix): ActionB/notes.pdf" in said
    with pytest.raises(ValueError, match=r"no trainlist02.txt below it \(trainlist01.txt\)"):
        find_rows("ucf101", tmp_path, Options(split=2))


def test_hmdb51_takes_train_and_test_and_says_what_is_unused(tmp_path):
    found, output = made("hmdb51", tmp_path)
    assert len(found.rows) == 18
    assert "not placed: 6 (not used in split 1)" in described(found)
    video = by_name(output)["#1_Film;_(HQ)!_wave_u_nm_np1_ba_goo_1.avi"]
    assert (video.label, video.group) == ("wave", "#1_Film__(HQ)!")


def test_kinetics_knows_cut_and_whole_videos(tmp_path):
    found, _ = made("kinetics", tmp_path)
    assert len(found.rows) == 24
    rows = {os.path.basename(row["path"]): row for row in found.rows}
    cut = next(row for name, row in rows.items() if "_000010_000020" in name)
    whole = next(row for name, row in rows.items() if "_000010_" not in name)
    assert (cut["start"], cut["end"], cut["split"]) == ("", "", "train")
    assert (whole["start"], whole["end"], whole["split"]) == ("10", "20", "test")
    assert all(row["group"] in name for name, row in rows.items())


def test_kinetics_without_labels_in_the_test_list_has_rows_without_label(tmp_path):
    layouts.kinetics(tmp_path)
    layouts.touch(tmp_path, "test/abcdefghijk.mp4")
    layouts.write(
        tmp_path / "test.csv", "youtube_id,time_start,time_end,split\nabcdefghijk,1.5,9,test\nmissing_vid,0,1,test\n"
    )
    found = find_rows("kinetics", tmp_path, Options())
    (row,) = (row for row in found.rows if row["path"].endswith("abcdefghijk.mp4"))
    assert (row["label"], row["start"], row["end"]) == ("", "1.5", "9")
    assert found.unplaced["listed, but no such video"] == ["missing_vid_000000_000001"]
    layouts.write(tmp_path / "test.csv", "youtube_id,time_start,time_end,split\nabcdefghijk,soon,9,test\n")
    with pytest.raises(ValueError, match="time_start is 'soon': use seconds"):
        find_rows("kinetics", tmp_path, Options())


def test_mmaction_lists_have_names_of_classes_and_paths_with_blanks_and_numbers(tmp_path):
    found, _ = made("mmaction", tmp_path)
    assert len(found.rows) == 60
    assert {row["label"] for row in found.rows} == {*layouts.ACTIONS}
    assert str(tmp_path / "videos_val/ActionA/val 1 7.mp4") in {row["path"] for row in found.rows}


def test_mmaction_lists_of_frames_name_folders(tmp_path):
    found, _ = made("mmaction frames", tmp_path)
    assert len(found.rows) == 12
    assert str(tmp_path / "rawframes/class 1/train 3") in {row["path"] for row in found.rows}
    assert "no list of classes: their numbers are the labels" in described(found)


def test_a_class_list_counted_from_1_and_one_that_is_short(tmp_path):
    layouts.mmaction(tmp_path)
    (tmp_path / "label_map.txt").unlink()
    layouts.write(tmp_path / "classInd.txt", "".join(f"{n} {name}\n" for n, name in enumerate(layouts.ACTIONS, 1)))
    found = find_rows("mmaction", tmp_path, Options())
    assert all(row["label"] in row["path"] for row in found.rows)
    layouts.write(tmp_path / "classInd.txt", "1 ActionA\n2 ActionB\n")
    with pytest.raises(ValueError, match="it has no names for the numbers 2, 3, 4"):
        find_rows("mmaction", tmp_path, Options())


def test_slowfast_lists_a_video_in_val_and_test_once(tmp_path):
    found, _ = made("slowfast", tmp_path)
    assert [sum(row["split"] == split for row in found.rows) for split in ("train", "val", "test")] == [8, 0, 4]
    assert {row["label"] for row in found.rows} == {"shaking hands", "yoga"}
    assert "4 lines name a video again" in described(found)


def test_faceforensics_gives_a_fake_both_its_people(tmp_path):
    found, _ = made("faceforensics", tmp_path)
    rows = {row["path"].rpartition("sequences/")[2]: row for row in found.rows}
    assert len(rows) == 36
    fake = rows["FaceSwap/c23/videos/003_002.mp4"]
    assert (fake["label"], fake["group"], fake["split"], fake["method"]) == ("fake", "003;002", "train", "FaceSwap")
    assert rows["youtube/c23/videos/011.mp4"]["group"] == "011"
    assert rows["youtube/c23/videos/011.mp4"]["split"] == "test"


def test_faceforensics_names_what_is_in_no_list_and_takes_one_compression(tmp_path):
    layouts.faceforensics(tmp_path)
    layouts.touch(
        tmp_path, "original_sequences/youtube/raw/videos/000.mp4", "original_sequences/youtube/c23/videos/999.mp4"
    )
    layouts.touch(
        tmp_path, "original_sequences/actors/c23/videos/01__walking.mp4", "original_sequences/youtube/c23/videos/x.mp4"
    )
    found = find_rows("faceforensics", tmp_path, Options(compression="c23"))
    assert len(found.rows) == 36
    assert len(found.unplaced["in no list, or its identities are in different lists"]) == 2
    assert len(found.unplaced["not c23"]) == len(found.unplaced["no video of FaceForensics++ by folder and name"]) == 1
    with pytest.raises(ValueError, match="compression is 'c40': there are videos of c23, raw"):
        find_rows("faceforensics", tmp_path, Options(compression="c40"))


def test_webdataset_is_listed_without_unpacking(tmp_path):
    found, output = made("webdataset", tmp_path)
    assert len(found.rows) == 16
    assert {row["label"] for row in found.rows} == {"fake", "real"}
    assert "set-train-000.tar/scène 003 train.mp4" in {v.id for v in read_manifest(output)}


def test_webdataset_with_descriptions(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for n in range(8):
            layouts.add(tar, f"deep/{n}.x.mp4")
            layouts.add(tar, f"deep/{n}.json", json.dumps({"verdict": "ab"[n % 2], "person": n // 2}).encode())
            layouts.add(tar, f"deep/{n}.txt", f"a caption of {n}".encode())
    found = find_rows("webdataset", tmp_path, Options(label="verdict", group="person"))
    assert [row["label"] for row in found.rows] == list("abababab")
    assert [row["group"] for row in found.rows] == list("00112233")


def test_huggingface_keeps_all_columns(tmp_path):
    found, output = made("huggingface", tmp_path)
    assert len(found.rows) == 16
    assert read_extras(output)["caption, long"][0] == 'says "hello",\nand more'
    assert by_name(output)["a 3.mp4"].group == "traina1"


def test_huggingface_without_metadata_has_folders_of_classes(tmp_path):
    layouts.images(tmp_path)
    found = find_rows("huggingface", tmp_path, Options())
    assert {row["label"] for row in found.rows} == {"cat", "dog"}


# What users get wrong, and what strangers' names do


def test_a_manifest_is_not_overwritten_without_force(tmp_path):
    found, output = made("folders", tmp_path)
    output.write_text("mine")
    with pytest.raises(ValueError, match="it exists: use another name, or --force"):
        write_manifest(found, output, force=False)
    assert output.read_text() == "mine"
    write_manifest(found, output, force=True)
    assert len(read_manifest(output)) == 20


def test_a_manifest_is_not_written_through_a_link(tmp_path):
    found, _ = made("folders", tmp_path)
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "link.csv").symlink_to(tmp_path / "theirs")
    write_manifest(found, tmp_path / "link.csv", force=True)
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_paths_lead_to_the_videos_from_a_linked_folder(tmp_path):
    (tmp_path / "deep/er/real").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep/er/real")
    _, output = made("folders", tmp_path / "tree", tmp_path / "link/videos.csv")
    assert missing_files(read_manifest(output), Path()) == []


def test_an_option_of_another_kind_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="--split is '2': leave it out: it is for ucf101, hmdb51, mmaction"):
        find_rows("folders", tmp_path, Options(split=2))
    with pytest.raises(ValueError, match="kind is 'ucf-101': did you mean 'ucf101'"):
        find_rows("ucf-101", tmp_path, Options())


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_of_another_kind_is_an_error_with_a_remedy(kind, tmp_path):
    with pytest.raises(ValueError, match=": "):
        find_rows(kind, tmp_path / "gone", Options())
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(ValueError, match=": "):
        find_rows(kind, tmp_path, Options())


def test_odd_names_and_links_are_left_out_by_name(tmp_path):
    layouts.folders(tmp_path)
    layouts.touch(tmp_path, "fight/two\nlines.mp4", "fight/\x1b[31mred.mp4", "fight/.hidden.mp4")
    with open(os.path.join(os.fsencode(tmp_path), b"fight/\xff.mp4"), "wb"):
        pass
    os.mkfifo(tmp_path / "fight/pipe.mp4")
    (tmp_path / "fight/dangling.mp4").symlink_to("/nowhere.mp4")
    (tmp_path / "outside").symlink_to("/")
    found, output = find_rows("folders", tmp_path, Options()), tmp_path / "videos.csv"
    write_manifest(found, output, force=False)
    assert len(read_manifest(output)) == 20
    said = described(found)
    assert "not placed: 3 (its name is not UTF-8, too long, or has control characters: rename it)" in said
    assert "not placed: 1 (links to folders are not followed): outside" in said
    assert "not placed: 2 (no regular file behind this name): fight/dangling.mp4, fight/pipe.mp4" in said
    assert "\x1b" not in said
    said.encode()


def test_what_has_no_place_is_listed_up_to_a_bound(tmp_path):
    layouts.folders(tmp_path)
    layouts.touch(tmp_path, *(f"fight/{n:03}.doc" for n in range(300)))
    said = described(find_rows("folders", tmp_path, Options()))
    assert "not placed: 300 (not a video by the suffix): fight/000.doc" in said
    assert "and 295 more" in said
    assert len(said) < 2000


def test_hostile_tar_files_yield_only_their_own_members(tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        layouts.add(tar, "../up.mp4")
        layouts.add(tar, "/etc/top.mp4")
        layouts.add(tar, "link.mp4", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        layouts.add(tar, "hard.mp4", type=tarfile.LNKTYPE, linkname="../../x")
        layouts.add(tar, "device.mp4", type=tarfile.CHRTYPE)
        layouts.add(tar, "good.mp4")
        layouts.add(tar, "good.cls", b"1")
        layouts.add(tar, "good.json", b"[" * 100_000)
    (tmp_path / "cut.tar").write_bytes((tmp_path / "bad.tar").read_bytes()[:700])
    (tmp_path / "no.tar").write_bytes(b"\0" * 100 + b"x" * 5000)
    (tmp_path / "packed.tar.gz").write_bytes(b"")
    found = find_rows("webdataset", tmp_path, Options())
    assert [row["path"] for row in found.rows] == [str(tmp_path / "bad.tar/good.mp4")]
    assert len(found.unplaced["a link, a device, or a name that leads out of the tar file"]) >= 5
    assert any("cannot be read to its end" in reason for reason in found.unplaced)


@pytest.mark.parametrize("name", ["../outside.mp4", "/etc/passwd", "gone.mp4", ""])
def test_metadata_cannot_name_files_outside(name, tmp_path):
    layouts.touch(tmp_path, "outside.mp4", "set/a.mp4", "set/b.mp4")
    lines = [{"file_name": each, "label": "x"} for each in ("a.mp4", "b.mp4", name)]
    layouts.write(tmp_path / "set/metadata.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    found = find_rows("huggingface", tmp_path / "set", Options())
    assert len(found.rows) == 2
    assert len(found.unplaced["listed, but no such file in the folder"]) == 1


def test_lists_name_only_videos(tmp_path):
    layouts.slowfast(tmp_path)
    with open(tmp_path / "train.csv", "a") as file:
        file.write("/etc/passwd 0\n/dev/zero 1\nno number\n" + "x" * 5000 + ".mp4 1\n")
    found = find_rows("slowfast", tmp_path, Options(classes=tmp_path / "ids.json"))
    assert len(found.rows) == 12
    assert len(found.unplaced["listed, but no such video"]) == 3
    assert found.unplaced["not a path and a number in train.csv"] == ["no number"]
