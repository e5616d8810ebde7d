"""UCF101 and HMDB51: a folder per class, and lists of the official splits."""

import re
from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.make.files import ByName, one_group, read_lines, samples_below, stem_of
from clipfold.manifest.make.found import Found, Options, check_folder

_UCF = re.compile(r"v_(.+)_g(\d+)_c\d+")
_HMDB = re.compile(r"(.+)_test_split(\d+)\.txt")
_HMDB_SPLITS = {"1": "train", "2": "test"}


def make_ucf101(source: Path, options: Options) -> Found:
    """Read `trainlist01.txt` and `testlist01.txt`; the group is class and `g01` of a name, the recording.

    Source: Soomro et al., UCF101, 2012.
    """
    root, number = check_folder("source", source), options.split or 1
    lists = {
        split: sorted(root.rglob(f"{split}list{number:02}.txt")) or sorted(root.rglob(f"{split}list{number}.txt"))
        for split in ("train", "test")
    }
    known = sorted({path.name for path in root.rglob("trainlist*.txt")})
    for split, paths in lists.items():
        require(
            bool(paths),
            "source",
            str(source),
            f"no {split}list{number:02}.txt below it ({', '.join(known) or 'no list of any split'}): name the folder "
            "with the lists, and the videos by --videos",
        )
    listed = [
        (split, *_path_and_class(line))
        for split, paths in lists.items()
        for path in paths[:1]
        for line in read_lines(path)
    ]
    found = _placed(root, options, number, listed)
    for row in found.rows:
        match = _UCF.fullmatch(stem_of(row["path"]))
        row["group"] = one_group(f"{row['label']} g{match[2]}") if match else ""
    odd = [row["path"] for row in found.rows if not row["group"]]
    if odd:
        found.notes.append(f"{len(odd)} names have no _g01_ and so no group, such as {odd[0]}")
    found.groups = "class and g01, g02 ... of each name: in UCF101 the clips of one recording of a class"
    return found


def _path_and_class(line: str) -> tuple[str, str]:
    path = re.sub(r"\s+\d+$", "", line)
    return path, path.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]


def make_hmdb51(source: Path, options: Options) -> Found:
    """Read `CLASS_test_split1.txt` (1: train, 2: test, 0: unused); the group is what stands before the class in a name.

    That is the film or video that a clip was cut from. Source: Kuehne et al., HMDB, 2011.
    """
    root, number = check_folder("source", source), options.split or 1
    lists = [(path, match) for path in sorted(root.rglob("*_test_split*.txt")) if (match := _HMDB.fullmatch(path.name))]
    known = sorted({int(match[2]) for _, match in lists})
    require(
        number in known,
        "split" if known else "source",
        number if known else str(source),
        f"there are lists of the splits {known}"
        if known
        else "no CLASS_test_split1.txt below it: name the folder with the lists, and the videos by --videos",
    )
    listed: list[tuple[str, str, str]] = []
    unused: list[str] = []
    for path, match in lists:
        if int(match[2]) != number:
            continue
        for line in read_lines(path):
            name, _, code = line.rpartition(" ")
            if code in _HMDB_SPLITS:
                listed.append((_HMDB_SPLITS[code], f"{match[1]}/{name.strip()}", match[1]))
            else:
                unused.append(f"{match[1]}/{name.strip()}")
    found = _placed(root, options, number, listed, unused)
    for row in found.rows:
        row["group"] = one_group(stem_of(row["path"]).rpartition(f"_{row['label']}_")[0])
    found.groups = "what stands before the class in each name: in HMDB51 the film or video that a clip was cut from"
    return found


def _placed(
    root: Path, options: Options, number: int, listed: list[tuple[str, str, str]], unused: list[str] | None = None
) -> Found:
    """Find the listed videos: split, path and class of each."""
    found = Found()
    videos = check_folder("videos", options.videos) if options.videos else root
    names = samples_below(videos, found)
    by_name = ByName(names)
    used: set[str] = set()
    for split, path, label in listed:
        places = by_name.find(path)
        if len(places) == 1:
            used.add(places[0])
            found.rows.append({"path": str(videos / places[0]), "label": label, "group": "", "split": split})
        else:
            found.leave("listed, but several files have this name" if places else "listed, but no such video", [path])
    idle = {place for name in unused or () for place in by_name.find(name)}
    found.leave(f"not used in split {number}", sorted(idle - used))
    found.leave(f"in no list of split {number}", (name for name in names if name not in used | idle))
    return found
