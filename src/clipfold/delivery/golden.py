"""The golden test of a bundle: three small videos and what it says of them.

It shows that decoding, resizing, features, weights and choices are the same here as where the bundle was made. The
videos are drawn, not taken from the training data, which may not be shared.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipfold.checks import require
from clipfold.clips.resize import resize_clip
from clipfold.delivery.description import parse
from clipfold.delivery.prepare import Prepared, prepare
from clipfold.delivery.rows import golden_rows, prepare_rows
from clipfold.models.record import read_record
from clipfold.storage.files import Array, write_json
from clipfold.storage.records import read_bytes
from clipfold.storage.replace import write_whole

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle

FOLDER = "golden"
EXPECTED = "golden/expected.json"

PROBABILITY = 1e-3
"""Largest difference of a probability: other processors round otherwise. A bundle may state another, if exported."""

FEATURE = 1e-3
"""Largest relative difference of a feature."""

GREY_LEVELS = 0.05
"""Largest difference of a clip's mean colour and mean gradient, in grey levels."""

_SHAPES = {  # of each modality: file -> width, height
    "video": {"0.mp4": (160, 120), "1.mkv": (96, 160), "2.mp4": (128, 128)},
    "image": {"0.png": (160, 120), "1.png": (96, 160), "2.png": (128, 128)},
}


def write_golden(folder: Path, bundle: "OpenBundle") -> None:
    """Draw the videos, predict them, and write both into the folder of a bundle."""
    from clipfold.demo.encode import Take, encode, encode_image
    from clipfold.demo.scenes import draw_scene, film

    (folder / FOLDER).mkdir()
    if bundle.table:
        write_json(folder / EXPECTED, _observe_rows(bundle))
        return
    for number, (name, size) in enumerate(_SHAPES[bundle.modality].items()):
        rng = np.random.default_rng(number)
        count = 1 if bundle.modality == "image" else 48
        frames = film(draw_scene(rng), rng, frames=count, size=size, fps=24.0)
        if bundle.modality == "image":
            data = encode_image(frames[0], ".png")
        else:
            data = encode(frames, Take("h264", Path(name).suffix, Fraction(24), count), bits_per_pixel=0.3)  # type: ignore[arg-type]
        write_whole(folder / FOLDER / name, data)
    write_json(folder / EXPECTED, observe(bundle))


def golden_problems(bundle: "OpenBundle") -> list[str]:
    """Run the golden test; returns what differs, each as a sentence.

    Raises:
        ValueError: The bundle has no golden test that can be read.
    """
    try:
        expected = parse(read_bytes(bundle.folder / EXPECTED), EXPECTED)
        return list(_differences(expected, observe(bundle), (), bundle.description.get("tolerance", PROBABILITY)))
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(f"{EXPECTED} cannot be used ({error}): make the bundle again") from None


def observe(bundle: "OpenBundle") -> dict[str, Any]:
    """Predict the golden videos and note all on the way: what `expected.json` holds."""
    if bundle.table:
        return _observe_rows(bundle)
    prepared = _prepared(bundle)
    observed: dict[str, Any] = {"threshold": bundle.description["threshold"]}
    raw = bundle.probabilities(features=prepared.features, clips=prepared.clips, boxes=prepared.boxes)
    found = bundle.answers(raw)
    for number, name in enumerate(prepared.usable):
        observed[name] = {
            "probabilities": dict(zip(bundle.classes, found.probabilities[number].tolist(), strict=True)),
            "clips": _measures(bundle, prepared, number),
            "features": _features(prepared, number),
        }
    return observed


def golden_clips(bundle: "OpenBundle") -> tuple[Array, Array]:
    """Decode the golden videos; returns clips, uint8 (videos, frames, size, size, 3), and boxes, int (videos, 4).

    Raises:
        ValueError: None can be used.
    """
    prepared = _prepared(bundle)
    require(bool(prepared.usable), FOLDER, "no usable video", "get the bundle again, or make it again")
    return prepared.clips, prepared.boxes


def _prepared(bundle: "OpenBundle") -> Prepared:
    paths = {name: str(bundle.folder / FOLDER / name) for name in _SHAPES[bundle.modality]}
    return prepare(bundle, paths, workers=1)


def _observe_rows(bundle: "OpenBundle") -> dict[str, Any]:
    """Predict made-up rows of a table."""
    observed: dict[str, Any] = {"threshold": bundle.description["threshold"]}
    prepared = prepare_rows(bundle, golden_rows(bundle))
    found = bundle.answers(bundle.probabilities(features=prepared.features))
    for name, probabilities in zip(prepared.features.index, found.probabilities.tolist(), strict=True):
        observed[str(name)] = {"probabilities": dict(zip(bundle.classes, probabilities, strict=True))}
    return observed


def _measures(bundle: "OpenBundle", prepared: Prepared, number: int) -> dict[str, list[float]]:
    """Measure a clip at each size at which it is read: mean of each channel, mean gradient along both axes."""
    clip = prepared.clips[number]
    records = map(read_record, (bundle.folder / "fits").rglob("fit.json"))
    sizes = {record["settings"]["size"] for record in records if record["input"] == "clips"}
    return {str(size): _measure(resize_clip(clip, size)) for size in sorted({clip.shape[1], *sizes})}


def _measure(clip: Array) -> list[float]:
    values = clip.astype(np.float64)
    gradients = (np.abs(np.diff(values, axis=axis)).mean() for axis in (1, 2))
    return [*values.mean(axis=(0, 1, 2)).tolist(), *map(float, gradients)]


def _features(prepared: Prepared, number: int) -> dict[str, float | None]:
    if prepared.features is None:
        return {}
    row = prepared.features.iloc[number]  # thousands of numbers of embeddings are left out: probabilities tell
    own = {str(name): value for name, value in row.items() if not str(name).startswith("embedding.")}
    return {name: None if np.isnan(value) else float(value) for name, value in own.items()}


def _differences(expected: Any, observed: Any, where: tuple[str, ...], tolerance: float) -> Iterator[str]:
    """Compare two observations key by key; `where` are the keys that lead to them, `tolerance` is of probabilities."""
    if isinstance(expected, Mapping) and isinstance(observed, Mapping):
        for key in expected.keys() | observed.keys():
            yield from _differences(expected.get(key), observed.get(key), (*where, key), tolerance)
    elif isinstance(expected, list) and isinstance(observed, list) and len(expected) == len(observed):
        for number, pair in enumerate(zip(expected, observed, strict=True)):
            yield from _differences(*pair, (*where, str(number)), tolerance)
    elif not _close(expected, observed, where, tolerance):
        yield f"{': '.join((*where, 'expected'))} {expected}, found {observed}"


def _close(expected: Any, observed: Any, where: Sequence[str], tolerance: float) -> bool:
    kind = where[1] if len(where) > 1 else ""  # below the name of a video
    if not kind or not all(isinstance(value, float | int) for value in (expected, observed)):
        return bool(expected == observed)
    if kind == "features":
        return bool(np.isclose(expected, observed, rtol=FEATURE, atol=FEATURE))
    return bool(abs(expected - observed) <= (GREY_LEVELS if kind == "clips" else tolerance))
