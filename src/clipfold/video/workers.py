"""Work on many videos by processes, such that a video can hang or crash its decoder and harm no other."""

import logging
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from clipfold.video.container import Unusable
from clipfold.video.status import Status

Item = TypeVar("Item")
Result = TypeVar("Result")
Row = TypeVar("Row", bound=Mapping[str, Any])

logger = logging.getLogger(__name__)

_RENEWED_AFTER = 200  # videos that a worker takes before another takes its place: they grow by some KB with each


def map_videos(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    total: int,
    workers: int,
    timeout_s: float,
    what: str,
) -> Iterator[tuple[Item, Result | Unusable]]:
    """Call `function` on each item in other processes.

    Args:
        function: a module's function (or a partial of one); raises `Unusable` for a video that cannot be used.
        items: the work; taken as it is needed, so that neither it nor results pile up.
        total: how many items there are.
        workers: processes at a time.
        timeout_s: seconds for one item; a process that takes longer is killed and the item is `timeout`.
        what: what is done, for progress messages.

    Yields:
        Each item and its result, in the order of the items whatever the number of workers; in place of the result an
        `Unusable` (`timeout` or `crashed` where the process did not survive).
    """
    started = reported = time.monotonic()
    # Forked workers have all modules already; spawned ones would import the caller's script again.
    fork = multiprocessing.get_context("fork")
    with ProcessPool(max_workers=workers, max_tasks=_RENEWED_AFTER, context=fork) as pool:
        waiting: deque[tuple[Item, ProcessFuture[Any]]] = deque()
        upcoming = iter(items)
        for done in range(total):
            while len(waiting) < 2 * workers and (item := next(upcoming, None)) is not None:
                waiting.append((item, pool.schedule(function, args=[item], timeout=timeout_s)))
            item, future = waiting.popleft()
            yield item, _outcome(future, timeout_s)
            if (now := time.monotonic()) - reported > 10:
                reported = now
                left = (now - started) / (done + 1) * (total - done - 1)
                logger.info("%s: %d of %d videos, about %.0f s left", what, done + 1, total, left)


def _outcome(future: ProcessFuture[Any], timeout_s: float) -> Any:
    try:
        return future.result()
    except Unusable as unusable:
        return unusable
    except TimeoutError:
        return Unusable(Status.TIMEOUT, f"not done after {timeout_s:g} s")
    except ProcessExpired as expired:
        return Unusable(Status.CRASHED, f"the process ended with exit code {expired.exitcode}")


def reported(done: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Hand rows on; log each video that is not usable or odd and, after the last, how many ended how."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["status"]] += 1
        if row["status"] != Status.OK:
            logger.warning("%s: %s (%s)", row["id"], row["status"], row["reason"])
        elif row.get("warning"):
            logger.warning("%s: %s", row["id"], row["warning"])
        yield row
    ended = ", ".join(f"{n} {status}" for status, n in counts.most_common())
    logger.info("%s %d videos: %s", done, counts.total(), ended)
