"""Process videos in worker processes, so that one which hangs, crashes or takes all memory affects no other."""

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from functools import partial
from multiprocessing.connection import Connection, wait
from threading import Lock
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from clipfold.image.source import size_of
from clipfold.status import Status
from clipfold.video.address_space import limit_address_space, machine_refuses_memory
from clipfold.video.container import NotTheVideo, Unusable, is_fault

Video = Mapping[str, Any]
Result = TypeVar("Result")
Row = TypeVar("Row", bound=Mapping[str, Any])

logger = logging.getLogger(__name__)

_RENEWED_AFTER = 200  # videos per worker process before it is replaced: its memory grows by some KB with each
_AHEAD = 16  # results that a worker keeps while its caller is busy
_BYTES_PER_S = 10_000_000  # slow storage: time to compute the digest of a file comes on top of the time to work on it


def map_videos(
    function: Callable[[Video], Result],
    videos: Iterable[Video],
    *,
    total: int,
    workers: int,
    timeout_s: float,
    stage: str,
    memory_mb: int | None = None,
) -> Iterator[tuple[Video, Result | Unusable]]:
    """Call `function` on each video in worker processes.

    Args:
        function: a module-level function, or a partial of one; raises `Unusable` for a video that cannot be used.
        videos: mappings with `id` and `path`, read as needed, so that neither they nor results pile up; `parts` of one
            are as many videos.
        total: number of videos.
        workers: processes to use.
        timeout_s: seconds per video, besides those to read a large file; a process that takes longer is killed.
        stage: name of the rule and of its settings, for messages.
        memory_mb: memory of the job; one video may take all of it, but no more.

    Yields:
        Each video with its result, in the order of the videos for any number of workers. Failed ones have an `Unusable`
        instead of a result: `timeout` or `crashed` if the process did not survive, `too_large` if it may not have the
        memory it needs, `failed` for any error that `function` should not raise.

    Raises:
        NotTheVideo: a fault of the machine, or a file that changed.
    """
    started = reported = time.monotonic()
    # Forked workers have all modules loaded; spawned ones would import the calling script again.
    fork = _context()
    call = partial(_call, function, _limit(stage, memory_mb))
    with ProcessPool(workers, _RENEWED_AFTER, limit_address_space, [memory_mb], fork) as pool:
        waiting: deque[tuple[Video, float, ProcessFuture[Any]]] = deque()
        upcoming = iter(videos)
        for done in range(total):
            while len(waiting) < 2 * workers and (video := next(upcoming, None)) is not None:
                allowed_s = timeout_s * max(1, len(video.get("parts", ()))) + size_of(video["path"]) / _BYTES_PER_S
                waiting.append((video, allowed_s, pool.schedule(call, args=[video], timeout=allowed_s)))
            video, allowed_s, future = waiting.popleft()
            yield video, _outcome(video["id"], future, f"{allowed_s:.3g} s ({stage}.timeout_s)")
            if (now := time.monotonic()) - reported > 10:
                reported = now
                left = (now - started) / (done + 1) * (total - done - 1)
                logger.info("%s: %d of %d videos, about %.0f s left", stage, done + 1, total, left)


class VideoWorker(Iterator[Result]):
    """A process that works on one video; its results are taken one after the other, as they come.

    It waits while `_AHEAD` results are not taken, and is killed when a result is an error, or by `close`.

    Args:
        function: a function of the video; raises `Unusable` if the video cannot be used.
        video: mapping with `id` and `path`.
        timeout_s: seconds that each result may take, besides those to read a large file.
        stage: name of the rule and of its settings, for messages.
        memory_mb: memory of the job, of which the worker may take all.
    """

    def __init__(
        self,
        function: Callable[[Video], Iterable[Result]],
        video: Video,
        *,
        timeout_s: float,
        stage: str,
        memory_mb: int | None = None,
    ) -> None:
        fork = _context()
        self._id, self._stage = video["id"], stage
        self._allowed_s = timeout_s + size_of(video["path"]) / _BYTES_PER_S
        with _starting:
            self._results, sender = fork.Pipe(duplex=False)
            arguments = (function, video, _limit(stage, memory_mb), memory_mb, self._results, sender)
            self._process = fork.Process(target=_send_all, args=arguments, daemon=True)
            self._process.start()
            sender.close()  # so that the end of the worker ends the pipe
        self._taken = time.monotonic()

    def __next__(self) -> Result:
        """Wait for the next result.

        Raises:
            Unusable: as the function, or as `map_videos` returns it.
            NotTheVideo: a fault of the machine, or a file that changed.
        """
        try:
            result = self._received()
        except BaseException:
            self.close()
            raise
        self._taken = time.monotonic()
        return result

    def _received(self) -> Result:
        if self._results.closed:
            raise StopIteration
        if not self._results.poll(self._left_s):
            raise Unusable(Status.TIMEOUT, f"nothing came for {self._allowed_s:.3g} s ({self._stage}.timeout_s)")
        try:
            result = self._results.recv()
        except (EOFError, OSError):  # its end, or an end in the middle of a result
            self._process.join()
            if self._process.exitcode:
                raise _ended(self._id, self._process.exitcode) from None
            raise StopIteration from None
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]

    @property
    def _left_s(self) -> float:
        return max(0.0, self._taken + self._allowed_s - time.monotonic())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._results.close()

    @staticmethod
    def ready(workers: Sequence["VideoWorker[Any]"]) -> "list[VideoWorker[Any]]":
        """Wait until the next result of some workers, their end or their error can be taken; return these workers."""
        arrived = wait([worker._results for worker in workers], min(worker._left_s for worker in workers))
        return [worker for worker in workers if worker._results in arrived or not worker._left_s]


def _context() -> Any:
    """Return the context in which workers are forked; OpenCV's threads, if it is loaded, end, or workers would hang."""
    if opencv := sys.modules.get("cv2"):
        opencv.setNumThreads(1)
    return multiprocessing.get_context("fork")


_starting = Lock()  # a worker that another thread starts meanwhile would hold the pipe open


def _send_all(
    function: Callable[[Video], Iterable[Any]],
    video: Video,
    limit: str,
    memory_mb: int | None,
    results: Connection,
    sender: Connection,
) -> None:
    results.close()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end when nobody reads any more
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the reader is interrupted too, and ends this process
    limit_address_space(memory_mb)

    def send(video: Video) -> None:
        with ThreadPoolExecutor(1) as pool:  # a pipe holds less than one picture
            waiting: deque[Future[None]] = deque()
            for result in function(video):
                waiting.append(pool.submit(sender.send, result))
                if len(waiting) >= _AHEAD:
                    waiting.popleft().result()
            for each in waiting:
                each.result()

    try:
        _call(send, limit, video)
    except (Unusable, NotTheVideo) as error:
        sender.send(error)
    sys.stderr.flush()
    os._exit(0)  # at a usual end, a fork from a thread of an executor would join that thread, itself, and fail


def punctual(results: Iterable[Result], seconds: float) -> Iterator[Result]:
    """Pass results through; if the next takes longer, this process ends, also in the middle of a decoder's own code."""
    upcoming, end = iter(results), object()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    while True:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            result = next(upcoming, end)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if result is end:
            return
        yield result  # type: ignore[misc]  # only `end` is no result


def _limit(stage: str, memory_mb: int | None) -> str:
    return f"the {memory_mb} MB of the job (mem_mb of rule {stage})" if memory_mb else "a process can have"


def _call(function: Callable[[Video], Result], limit: str, video: Video) -> Result:
    """Call `function` and turn whatever it raises into the status of the video, or the end of the job."""
    try:
        return function(video)
    except (Unusable, NotTheVideo):
        raise
    except MemoryError:
        if machine_refuses_memory():
            raise NotTheVideo(f"{video['id']}: the machine has no memory left: run again") from None
        # Some decoders report the same for a frame over their own limit.
        reason = f"needs more memory than {limit}, or grows over probe.max_pixels"
        raise Unusable(Status.TOO_LARGE, reason) from None
    except Exception as error:
        if is_fault(error):
            raise NotTheVideo(f"{video['id']}: cannot be read now: {error}: run again") from None
        logger.exception("%s: an error of clipfold itself, please report it", video["id"])
        raise Unusable(Status.FAILED, f"{type(error).__name__}: {error}") from None


def _outcome(id: str, future: ProcessFuture[Any], limit: str) -> Any:
    try:
        return future.result()
    except Unusable as unusable:
        return unusable
    except TimeoutError:
        return Unusable(Status.TIMEOUT, f"not finished after {limit}")
    except ProcessExpired as expired:
        return _ended(id, expired.exitcode)


def _ended(id: str, exitcode: int) -> Unusable:
    if exitcode == -signal.SIGKILL:  # no decoder does that: the system lacks memory, or the job is ending
        raise NotTheVideo(f"{id}: its process was killed, as when memory runs out: run again") from None
    if exitcode == -signal.SIGALRM:
        return Unusable(Status.TIMEOUT, "no segment was finished in time (decode.timeout_s)")
    return Unusable(Status.CRASHED, f"the process ended with exit code {exitcode}")


_SHOWN = 5
"""Failures of one status that the log shows one by one; the tables hold all."""


def reported(done: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Pass rows through; log the first failures and warnings of each kind and, at the end, how many of each there were.

    A kind is a status; videos with a warning are one, too.
    """
    counts: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    kept = 0
    for row in rows:
        status = row["status"]
        counts[status] += 1
        kept += row.get("row") is not None and not row["decoded"]
        text = f"{status} ({row['reason']})" if status != Status.OK else row.get("warning")
        if text:
            shown[status] += 1
            if shown[status] <= _SHOWN:
                logger.warning("%s: %s", row["id"], text)
        yield row
    for status, count in shown.items():
        if count > _SHOWN:
            logger.warning("%d more: %s", count - _SHOWN, status if status != Status.OK else "usable, with a warning")
    ended = ", ".join(f"{n} {status}" for status, n in counts.most_common())
    logger.info("%s %d videos: %s%s", done, counts.total(), ended, f"; {kept} from the cache" if kept else "")
