"""The gallery of errors shows what a clip is a region of."""

import base64

import cv2
import numpy as np
import pandas as pd

from clipfold.config import WHOLE_VIEW
from clipfold.evaluation.errors import add_outcome
from clipfold.report.videos import gallery
from clipfold.storage.files import ArrayWriter, write_table
from clipfold.video.decode_shard import index_schema
from clipfold.video.region import build_finder
from clipfold.video.views import Uniform

SIZE = 64


def stored(folder, regions):
    """Write clips, whole frames and the index of grey videos, whose content is 32 x 64 pixels."""
    box, rows = [16, 0, 32, SIZE], []
    for row, region in enumerate(regions):
        boxes = {"clips_box": box, f"{WHOLE_VIEW}_box": box}
        rows.append({"id": f"{row}", "row": row, "clips_region": region} | boxes)
    for name in ("clips", WHOLE_VIEW):
        with ArrayWriter(folder / name, (4, SIZE, SIZE, 3), np.uint8) as array:
            for _ in regions:
                array.append(np.full((4, SIZE, SIZE, 3), 100, np.uint8))
    views = {
        "clips": Uniform(frames=4, size=SIZE, region=build_finder("region", "motion", "")),
        WHOLE_VIEW: Uniform(frames=4, size=SIZE),
    }
    write_table(folder / "index", rows, index_schema(views))


def errors(count):
    rows = [
        {"model": "m", "id": f"{n}", "label": "a", "group": "g", "fold": 0, "p_a": 0.1, "p_b": 0.9}
        for n in range(count)
    ]
    return add_outcome(pd.DataFrame(rows), ["a", "b"])


def test_a_card_marks_the_region_in_a_whole_frame(tmp_path):
    stored(tmp_path, [[0.25, 0.5, 0.5, 0.25], None])
    files = [tmp_path / "clips"], [tmp_path / "index"]
    marked, plain = sorted(gallery(errors(2), ["m"], *files, [tmp_path / WHOLE_VIEW]), key=lambda card: card["id"])
    assert plain["region"] is None  # nothing was found: the clip shows the whole frame
    picture = marked["region"]
    assert (picture["width"], picture["height"], picture["frames"]) == (SIZE, 32, 1)
    data = np.frombuffer(base64.b64decode(picture["data"].partition(",")[2]), np.uint8)
    blue, _, red = cv2.split(cv2.imdecode(data, cv2.IMREAD_COLOR).astype(int))
    rows, columns = np.nonzero(red - blue > 60)  # yellow, in a grey picture
    assert abs(np.array([rows.min(), rows.max(), columns.min(), columns.max()]) - [8, 23, 32, 47]).max() <= 1
    assert (red - blue)[12:20, 36:44].max() < 60  # an edge, not an area
    without = gallery(errors(2), ["m"], *files)
    assert [card["region"] for card in without] == [None, None]
