"""Which videos are used and which are put in quarantine: pure.

The facts come from probing and decoding, the policy from the config.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipfold.leakage.duplicates import identical
from clipfold.video.status import Status

if TYPE_CHECKING:  # the settings themselves are parameters of the job; the code that checks them changes nothing
    from clipfold.settings import PolicySettings

Video = Mapping[str, Any]


def apply_policy(videos: Iterable[Video], policy: PolicySettings) -> tuple[list[Video], list[Video]]:
    """Part videos into those that are used and those that are not.

    Of files with identical content, the first by id is used and the others are `duplicate`. Where they carry different
    labels, none can be trusted and all are `duplicate`.

    Args:
        videos: with `id`, `label`, `digest`, `row` (null if there are no frames of it), `status`, `reason`, `stage`.
        policy: what to do with a video by its status.

    Returns:
        Used videos, and the others with the `status`, `reason` and `stage` for which they are not used; each by id.

    Raises:
        ValueError: there are videos whose status the policy lets fail.
    """
    used: list[Video] = []
    rejected: list[Video] = []
    for video in sorted(videos, key=lambda video: video["id"]):
        usable = video["row"] is not None and policy.action(video["status"]) == "use"
        (used if usable else rejected).append(video)
    if policy.duplicate != "use":
        copies = dict(_excess(used))
        verdict = {"status": Status.DUPLICATE, "stage": "splits"}
        rejected += [{**video, **verdict, "reason": copies[video["id"]]} for video in used if video["id"] in copies]
        used = [video for video in used if video["id"] not in copies]
    _check_failing(rejected, policy)
    return used, sorted(rejected, key=lambda video: video["id"])


def _excess(videos: Sequence[Video]) -> Iterable[tuple[str, str]]:
    """Ids of copies that are not used, with the reason."""
    for first, *others in identical(videos):
        same = (first, *others)
        if len({video["label"] for video in same}) == 1:
            yield from ((video["id"], f"the same content as {first['id']!r}") for video in others)
        else:
            labels = ", ".join(f"{video['id']!r} is {video['label']!r}" for video in same)
            yield from ((video["id"], f"the same content under different labels: {labels}") for video in same)


def _check_failing(rejected: Sequence[Video], policy: PolicySettings) -> None:
    failing = [video for video in rejected if policy.action(video["status"]) == "fail"]
    if failing:
        shown = "; ".join(f"{video['id']}: {video['status']} ({video['reason']})" for video in failing[:20])
        more = f" and {len(failing) - 20} more" if len(failing) > 20 else ""
        raise ValueError(
            f"{len(failing)} videos are not usable, and the config says `fail` for them: {shown}{more}. "
            "Mend or remove them, or set their status to `quarantine` under `policy`"
        )
