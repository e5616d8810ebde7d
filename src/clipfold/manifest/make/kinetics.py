"""Kinetics: CSV files with label, YouTube id and times, and videos cut or whole."""

from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.make.files import ByName, samples_below
from clipfold.manifest.make.found import SPLIT_OF, Found, Options, check_folder
from clipfold.manifest.table import read_rows

_TIMES = ("time_start", "time_end")
_COLUMNS = {name: name for name in ("youtube_id", *_TIMES, "label", "split")} | {"path": "youtube_id"}


def make(source: Path, options: Options) -> Found:
    """Read the lists and find each video: `id_000010_000020.mp4` as it is, `id.mp4` with the columns `start` and `end`.

    The group is the YouTube id, since segments of one video show one scene. Rows of lists without labels, as those of
    the test split were published, have none.

    Args:
        source: A list, or a folder with lists (`train.csv`, `val.csv`...) at its top.
        options: `videos` is where the videos are, by default the folder of the list.

    Raises:
        ValueError: There is no list, or a time is no number.
    """
    require(source.exists(), "source", str(source), "no such file or folder")
    lists = sorted(source.glob("*.csv")) if source.is_dir() else [source]
    folder = source if source.is_dir() else source.parent
    found = Found()
    videos = check_folder("videos", options.videos or folder)
    names = samples_below(videos, found)
    by_name = ByName(names, case=True)
    used: set[str] = set()
    read = 0
    for path in lists:
        for number, row in read_rows(path, _COLUMNS):
            if not {"youtube_id", *_TIMES} <= row.keys():
                found.notes.append(f"{path.name} has no columns youtube_id, time_start, time_end: not read")
                break
            read += 1
            label = row.get("label", "")
            times = [_seconds(f"{path}, row {number}, {name}", row[name]) for name in _TIMES]
            youtube = row["youtube_id"].strip()
            cut = f"{youtube}_{int(times[0]):06}_{int(times[1]):06}"
            places = by_name.find(f"{label}/{cut}" if label else cut)
            whole = [] if places else by_name.find(f"{label}/{youtube}" if label else youtube)
            if not places and not whole:
                found.leave("listed, but no such video", [cut])
                continue
            place = (places or whole)[0]
            used.add(place)
            split = row.get("split", "") or path.stem.split("_")[-1]
            found.rows.append(
                {
                    "path": str(videos / place),
                    "label": label,
                    "group": youtube,
                    "split": SPLIT_OF.get(split.lower(), ""),
                    "start": row["time_start"] if whole else "",
                    "end": row["time_end"] if whole else "",
                }
            )
    require(bool(read), "source", str(source), "no CSV with the columns label,youtube_id,time_start,time_end,split")
    found.leave("in no list", (name for name in names if name not in used))
    found.groups = "the YouTube id, since segments of one video show one scene"
    return found


def _seconds(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where} is {text!r}: use seconds") from None
