"""Take from a cache what was probed and decoded before, and keep what was not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from clipfold.image.source import size_of, source_digest, stamp_of
from clipfold.storage.cache import Cache, Entry
from clipfold.storage.hashing import stable_hash
from clipfold.video.decode import Decoded
from clipfold.video.parts import Part

if TYPE_CHECKING:
    from clipfold.video.container import Unusable
    from clipfold.video.views import View

Result = tuple[Part, "Decoded | Unusable"]

# Other versions may decode or convert frames in another way.
_VERSIONS = {name: list(version) for name, version in av.library_versions.items()} | {"av": av.__version__}


def probe_kept(
    cache: Cache | None, path: str, settings: Mapping[str, Any], probe: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return what probing a source finds, from the cache if its content was probed before.

    Args:
        cache: the cache; None for none.
        path: the source, which is read to tell its content.
        settings: all else that the facts depend on.
        probe: probes the source.
    """
    if cache is None or not (stamp := stamp_of(path)):
        return probe()
    file = cache.path(stage="probe", digest=source_digest(path), settings=settings, versions=_VERSIONS)
    if entry := cache.read(file):
        return dict(entry.facts) | {"stamp": stamp, "size_bytes": size_of(path)}
    facts = probe()
    cache.write(file, Entry(facts, {}))
    return facts


def origin_of(source: Mapping[str, Any], max_pixels: int, loop_filter: bool = True) -> dict[str, Any]:
    """Return all on which the decoding of a probed source depends, as JSON values.

    Args:
        source: `digest`, `container`, `time_base`, `pts` and `keyframes`, as probed.
        max_pixels: most pixels of a frame.
        loop_filter: whether the edges of blocks are smoothed.
    """
    packets = f"{source['time_base']} {source['pts']} {source['keyframes']}"
    return {
        "digest": source["digest"],
        "container": source["container"],
        "packets": stable_hash(packets, 16),
        "max_pixels": max_pixels,
        **({} if loop_filter else {"loop_filter": False}),
    }


def decode_kept(
    cache: Cache | None,
    origin: Mapping[str, Any],
    views: Mapping[str, View],
    parts: Sequence[Part],
    decode: Callable[[Sequence[Part]], Iterable[Result]],
) -> Iterator[Result]:
    """Yield the views of parts of a source: first those in the cache, then the others, decoded at once and kept.

    Of a part from the cache no frame is decoded, and `facts["decoded"]` is 0.

    Args:
        cache: the cache; None for none.
        origin: see `origin_of`.
        views: the views by name.
        parts: parts of the source.
        decode: decodes parts.
    """
    if cache is None:
        yield from decode(parts)
        return
    missing: list[Part] = []
    for part in parts:
        entry = cache.read(_file(cache, origin, views, part))
        if entry and all(_fits(view, entry.arrays.get(name)) for name, view in views.items()):
            yield part, Decoded(dict(entry.arrays), dict(entry.facts) | {"decoded": 0})
        else:
            missing.append(part)
    for part, result in decode(missing) if missing else ():
        if isinstance(result, Decoded) and result.arrays:
            cache.write(_file(cache, origin, views, part), Entry(_plain(result.facts), result.arrays))
        yield part, result


def _file(cache: Cache, origin: Mapping[str, Any], views: Mapping[str, View], part: Part) -> Path:
    drawn_for = part.id if any(hasattr(view, "seed") for view in views.values()) else ""
    return cache.path(
        stage="decode",
        **origin,
        part=[part.start, part.end, drawn_for],
        views={name: repr(view) for name, view in views.items()},
        versions=_VERSIONS,
    )


def _fits(view: View, array: Any) -> bool:
    return array is not None and array.shape == view.shape and array.dtype == np.uint8


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in facts.items()}
