"""Write the audit as a page: leaking pairs side by side, and the evidence for the groups."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from clipfold.leakage.hash_shard import box_column
from clipfold.leakage.recall import measured_recall
from clipfold.report.render import render
from clipfold.storage.files import PathLike, open_array, read_json, read_table
from clipfold.storage.places import without_places
from clipfold.storage.replace import replacing

SHOWN = 60
"""Most pairs of each kind that the page shows; all pairs are in `matches.parquet`."""

Row = Mapping[str, Any]


def write_page(
    audit: PathLike,
    folds: PathLike,
    matches: PathLike,
    clips: Sequence[PathLike],
    indices: Sequence[PathLike],
    output: PathLike,
    noun: str = "video",
) -> None:
    """Write the page as one file that needs no other file and no network.

    Args:
        audit: JSON of the audit, see `clipfold.leakage.audit`.
        folds: table of the folds.
        matches: table of the near-duplicate pairs.
        clips: arrays of the view that was searched, by shard; none of a table, whose rows have no pictures.
        indices: indices of the same shards.
        output: HTML file to write.
        noun: what a row of the manifest is.
    """
    facts = read_json(audit)
    group = {row["id"]: row["group"] for row in read_table(folds, ["id", "group"]).to_pylist()}
    label = {row["id"]: row["label"] for row in read_table(folds, ["id", "label"]).to_pylist()}
    pairs = [row for row in read_table(matches).to_pylist() if row["first"] in group and row["second"] in group]
    leaks = facts["near_duplicates"]["across_splits"]
    known = {(row["first"], row["second"]) for row in leaks}
    apart = [row for row in pairs if (row["first"], row["second"]) not in known]
    harmless = [row for row in apart if group[row["first"]] != group[row["second"]]]
    together = [row for row in apart if group[row["first"]] == group[row["second"]]]
    stills = Stills(clips, indices) if clips else None
    sections = {
        name: {"count": len(rows), "pairs": [_shown(row, stills, group, label) for row in _spread(rows)]}
        for name, rows in (("leaks", leaks), ("harmless", harmless), ("together", together))
    }
    facts |= {"sections": sections, "shown": SHOWN, "recall": measured_recall()}
    page = render(facts, Path(__file__).parent / "page.html", noun)
    with replacing(output) as file:
        file.write(without_places(page, group).encode())


class Stills:
    """Single frames of the stored clips, without padding, as data URLs.

    Args:
        clips: arrays of the view that was searched, by shard.
        indices: indices of the same shards.
    """

    def __init__(self, clips: Sequence[PathLike], indices: Sequence[PathLike]) -> None:
        self._arrays = [open_array(path) for path in clips]
        self._place = {
            row["id"]: (shard, row["row"], row[box_column(clips[shard])])
            for shard, path in enumerate(indices)
            for row in read_table(path, ["id", "row", box_column(clips[shard])]).to_pylist()
            if row["row"] is not None
        }

    def url(self, video: str, frame: int) -> str:
        """Return a frame as a JPEG picture in a data URL."""
        shard, row, (top, left, height, width) = self._place[video]
        picture = self._arrays[shard][row, frame, top : top + height, left : left + width]
        done, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 80])
        assert done
        return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def _shown(pair: Row, stills: Stills | None, group: Mapping[str, str], label: Mapping[str, str]) -> dict[str, Any]:
    sides = [
        {"id": pair[side], "group": group[pair[side]], "label": label[pair[side]]}
        | {"still": stills.url(pair[side], pair[f"{side}_frame"]) if stills else ""}
        for side in ("first", "second")
    ]
    return {"change": pair["change"], "score": pair["score"], "folds": pair.get("folds"), "sides": sides}


def _spread(rows: Sequence[Row]) -> list[Row]:
    """Choose at most `SHOWN` rows, from the strongest to the weakest: the weakest are the doubtful ones."""
    ordered = sorted(rows, key=lambda row: (-row["score"], row["first"], row["second"]))
    if len(ordered) <= SHOWN:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
