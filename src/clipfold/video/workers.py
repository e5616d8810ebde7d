"""Process many videos in parallel, so that one which hangs or crashes its decoder affects no other."""

import logging
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from clipfold.status import Status
from clipfold.video.container import Unusable

Item = TypeVar("Item")
Result = TypeVar("Result")
Row = TypeVar("Row", bound=Mapping[str, Any])

logger = logging.getLogger(__name__)

_RENEWED_AFTER = 200  # videos per worker process before it is replaced: its memory grows by some KB with each


def map_videos(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    total: int,
    workers: int,
    timeout_s: float,
    what: str,
) -> Iterator[tuple[Item, Result | Unusable]]:
    """Call `function` on each item in worker processes.

    Args:
        function: a module-level function, or a partial of one; raises `Unusable` for a video that cannot be used.
        items: work items, read as needed, so that neither items nor results pile up.
        total: number of items.
        workers: processes to use.
        timeout_s: seconds per item; a process that takes longer is killed and its item gets the status `timeout`.
        what: name of the work, for progress messages.

    Yields:
        Each item with its result, in the order of the items for any number of workers. Failed items have an `Unusable`
        instead of a result: `timeout` or `crashed` if the process did not survive.
    """
    started = reported = time.monotonic()
    # Forked workers have all modules loaded; spawned ones would import the calling script again.
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
        return Unusable(Status.TIMEOUT, f"not finished after {timeout_s:g} s")
    except ProcessExpired as expired:
        return Unusable(Status.CRASHED, f"the process ended with exit code {expired.exitcode}")


def reported(done: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Pass rows through; log each failure and warning and, at the end, the number of videos per status."""
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
