"""Work on many videos by processes, such that a video can hang or crash its decoder and harm no other."""

import logging
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from clipfold.status import Status
from clipfold.video.container import Unusable

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

_RENEWED_AFTER = 200  # videos that a worker takes before another takes its place: decoders leak a few KB each


def map_videos(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, timeout_s: float, what: str
) -> Iterator[tuple[Item, Result | Unusable]]:
    """Call `function` on each item in other processes.

    Args:
        function: a module's function (or a partial of one); raises `Unusable` for a video that cannot be used.
        items: the work; taken as it is needed, so that results never pile up.
        workers: processes at a time.
        timeout_s: seconds for one item; a process that takes longer is killed and the item is `timeout`.
        what: what is done, for progress messages.

    Yields:
        Each item and its result, in the order of the items whatever the number of workers; in place of the result an
        `Unusable` (`timeout` or `crashed` where the process did not survive).
    """
    items = list(items)
    started = reported = time.monotonic()
    # Forked workers have all modules already; spawned ones would import the caller's script again.
    fork = multiprocessing.get_context("fork")
    with ProcessPool(max_workers=workers, max_tasks=_RENEWED_AFTER, context=fork) as pool:
        waiting: deque[tuple[Item, ProcessFuture[Any]]] = deque()
        upcoming = iter(items)
        for done in range(len(items)):
            while len(waiting) < 2 * workers and (item := next(upcoming, None)) is not None:
                waiting.append((item, pool.schedule(function, args=[item], timeout=timeout_s)))
            item, future = waiting.popleft()
            yield item, _outcome(future, timeout_s)
            if (now := time.monotonic()) - reported > 10:
                reported = now
                left = (now - started) / (done + 1) * (len(items) - done - 1)
                logger.info("%s: %d of %d videos, about %.0f s left", what, done + 1, len(items), left)


def _outcome(future: ProcessFuture[Any], timeout_s: float) -> Any:
    try:
        return future.result()
    except Unusable as unusable:
        return unusable
    except TimeoutError:
        return Unusable(Status.TIMEOUT, f"not done after {timeout_s:g} s")
    except ProcessExpired as expired:
        return Unusable(Status.CRASHED, f"the process ended with exit code {expired.exitcode}")


def report(done: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Log how many videos ended how, and each that is not usable or odd."""
    counts = Counter(row["status"] for row in rows)
    logger.info("%s %d videos: %s", done, len(rows), ", ".join(f"{n} {status}" for status, n in counts.most_common()))
    for row in rows:
        if row["status"] != Status.OK:
            logger.warning("%s: %s (%s)", row["id"], row["status"], row["reason"])
        elif row.get("warning"):
            logger.warning("%s: %s", row["id"], row["warning"])
