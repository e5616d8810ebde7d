"""Quarantine unusable videos, by the facts from probing and decoding and the policy of the config. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipfold.leakage.duplicates import identical
from clipfold.status import Status

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import PolicySettings

Video = Mapping[str, Any]


def apply_policy(videos: Iterable[Video], policy: PolicySettings) -> tuple[list[Video], list[Video]]:
    """Separate used videos from rejected ones.

    Among files with identical content, the first by id is used, of those with a label if there are some, and the others
    become `duplicate`. If their labels differ, none can be trusted and all become `duplicate`.

    Args:
        videos: rows with `id`, `label`, `digest`, `row` (None for a video without frames), `status`, `reason`, `stage`.
        policy: action for each status.

    Returns:
        Used videos, and rejected videos with the `status`, `reason` and `stage` of their rejection; both sorted by id.

    Raises:
        ValueError: videos with a status for which the policy says `fail`.
    """
    used: list[Video] = []
    rejected: list[Video] = []
    for video in sorted(videos, key=lambda video: video["id"]):
        usable = video["row"] is not None and policy.action(video["status"]) == "use"
        (used if usable else rejected).append(video)
    if policy.duplicate != "use":
        duplicates = dict(_duplicates(used))
        verdict = {"status": Status.DUPLICATE, "stage": "splits"}
        rejected += [{**v, **verdict, "reason": duplicates[v["id"]]} for v in used if v["id"] in duplicates]
        used = [video for video in used if video["id"] not in duplicates]
    _check_failing(rejected, policy)
    return used, sorted(rejected, key=lambda video: video["id"])


def _duplicates(videos: Sequence[Video]) -> Iterable[tuple[str, str]]:
    """Yield the ids of duplicates to reject, with the reason."""
    for same in identical(videos):
        first, *others = sorted(same, key=lambda video: not video["label"])
        if len({video["label"] for video in same} - {""}) < 2:
            yield from ((video["id"], f"the same content as {first['id']!r}") for video in others)
        else:
            labels = ", ".join(f"{video['id']!r} is {video['label']!r}" for video in same if video["label"])
            yield from ((video["id"], f"the same content under different labels: {labels}") for video in same)


def _check_failing(rejected: Sequence[Video], policy: PolicySettings) -> None:
    failing = [video for video in rejected if policy.action(video["status"]) == "fail"]
    if failing:
        shown = "; ".join(f"{video['id']}: {video['status']} ({video['reason']})" for video in failing[:20])
        more = f" and {len(failing) - 20} more" if len(failing) > 20 else ""
        raise ValueError(
            f"{len(failing)} videos are not usable, and the config says `fail` for their status: {shown}{more}. "
            "Repair or remove them, or set their status to `quarantine` under `policy`"
        )
