"""Small trees as people have them on disk, a function per layout of `clipfold make-manifest`. The files are empty."""

import csv
import io
import json
import tarfile

ACTIONS = [f"Action{letter}" for letter in "ABCDEFGHIJ"]


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def folders(root):
    for label in ("fight", "no fight"):
        touch(root, *(f"{label}/clip {n}, take #{n % 2} é.mp4" for n in range(10)))


def images(root):
    for label in ("cat", "dog"):
        touch(root, *(f"{label}/{n}.png" for n in range(8)))


def ucf101(root):
    """10 classes with 8 recordings of 2 clips each; recordings 1 and 2 are tested."""
    names = {"train": [], "test": []}
    for label in ACTIONS:
        for group in range(1, 9):
            for clip in (1, 2):
                name = f"{label}/v_{label}_g{group:02}_c{clip:02}.avi"
                touch(root, f"UCF-101/{name}")
                names["test" if group < 3 else "train"].append((name, ACTIONS.index(label) + 1))
    write(root / "ucfTrainTestlist/trainlist01.txt", "".join(f"{name} {number}\r\n" for name, number in names["train"]))
    write(root / "ucfTrainTestlist/testlist01.txt", "".join(f"{name}\r\n" for name, _ in names["test"]))
    write(root / "ucfTrainTestlist/classInd.txt", "".join(f"{n} {label}\n" for n, label in enumerate(ACTIONS, 1)))


def hmdb51(root):
    for label in ("brush_hair", "wave"):
        lines = []
        for n in range(12):
            name = f"#{n}_Film;_(HQ)!_{label}_u_nm_np1_ba_goo_{n}.avi"
            touch(root, f"hmdb51_org/{label}/{name}")
            lines.append(f"{name} {(1, 1, 2, 0)[n % 4]} \n")
        write(root / f"splits/{label}_test_split1.txt", "".join(lines))


def kinetics(root):
    """Videos cut in `train`, whole in `val`; the test list has no labels."""
    for split in ("train", "validate"):
        rows = []
        for label in ("air drumming", "yoga"):
            for n in range(6):
                youtube = f"-{split[0]}{label[:2]}{n:07}"
                rows.append([label, youtube, 10, 20, split])
                cut = f"{youtube}_000010_000020" if split == "train" else youtube
                touch(root, f"{split}/{label.replace(' ', '_')}/{cut}.mp4")
        with open(root / f"{split}.csv", "w", newline="") as file:
            csv.writer(file).writerows([["label", "youtube_id", "time_start", "time_end", "split"], *rows])


def mmaction(root):
    write(root / "label_map.txt", "".join(f"{label}\n" for label in ACTIONS))
    for split, count in (("train", 4), ("val", 2)):
        lines = []
        for number, label in enumerate(ACTIONS):
            for n in range(count):
                touch(root, f"videos_{split}/{label}/{split} {n} 7.mp4")
                lines.append(f"{label}/{split} {n} 7.mp4 {number}\n")
        write(root / f"set_{split}_list_videos.txt", "".join(lines))


def mmaction_frames(root):
    for split, count in (("train", 4), ("val", 2)):
        lines = []
        for number in (0, 1):
            for n in range(count):
                folder = f"class {number}/{split} {n}"
                touch(root, *(f"rawframes/{folder}/img_{i:05}.jpg" for i in range(3)))
                lines.append(f"{folder} 3 {number}\n")
        write(root / f"set_{split}_list_rawframes.txt", "".join(lines))


def slowfast(root):
    write(root / "ids.json", json.dumps({'"shaking hands"': 0, "yoga": 1}))
    for split, count in (("train", 4), ("val", 2)):
        rows = []
        for number in (0, 1):
            for n in range(count):
                touch(root, f"data/{split}{number} {n}.mp4")
                rows.append(f"{split}{number} {n}.mp4 {number}\n")
        write(root / f"{split}.csv", "".join(rows))
    write(root / "test.csv", (root / "val.csv").read_text())  # as PySlowFast's own data preparation says


def faceforensics(root):
    """6 pairs of people: 12 real videos, 12 fakes by each of two methods."""
    pairs = [(f"{a:03}", f"{a + 1:03}") for a in range(0, 12, 2)]
    for one, other in pairs:
        touch(root, *(f"original_sequences/youtube/c23/videos/{person}.mp4" for person in (one, other)))
        for method in ("Deepfakes", "FaceSwap"):
            place = f"manipulated_sequences/{method}/c23/videos"
            touch(root, f"{place}/{one}_{other}.mp4", f"{place}/{other}_{one}.mp4")
    for split, some in (("train", pairs[:4]), ("val", pairs[4:5]), ("test", pairs[5:])):
        write(root / f"splits/{split}.json", json.dumps(some))


def webdataset(root):
    for split, count in (("train", 6), ("test", 2)):
        root.mkdir(parents=True, exist_ok=True)
        with tarfile.open(root / f"set-{split}-000.tar", "w") as tar:
            for n in range(2 * count):
                key = f"scène {n:03}.of {split}"
                add(tar, f"{key.partition('.')[0]} {split}.mp4", b"")
                add(tar, f"{key.partition('.')[0]} {split}.cls", str(n % 2).encode())
    write(root / "classes.txt", "fake\nreal\n")


def add(tar, name, content=b"", **fields):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(content))


def huggingface(root):
    for split, count in (("train", 6), ("test", 2)):
        with_header = [["file_name", "label", "person", "caption, long"]]
        for label in ("a", "b"):
            for n in range(count):
                touch(root, f"{split}/clips/{label} {n}.mp4")
                with_header.append(
                    [f"clips/{label} {n}.mp4", label, f"{split}{label}{n // 2}", 'says "hello",\nand more']
                )
        with open(root / split / "metadata.csv", "w", newline="") as file:
            csv.writer(file).writerows(with_header)


def huggingface_lines(root):
    rows = [{"file_name": f"{n}.png", "label": n % 2, "camera": None} for n in range(12)]
    touch(root, *(row["file_name"] for row in rows))
    write(root / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
