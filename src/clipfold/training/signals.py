"""Being asked to stop: by a cluster before it takes the machine away, or by a person."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether a signal came, and which.

    Attributes:
        signal: that came last.
        pass_on: called when one comes.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.pass_on: Callable[[], object] = lambda: None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self.pass_on()


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Note SIGTERM and SIGUSR1 (SLURM's warning before a time limit or preemption) instead of dying of them."""
    request = StopRequest()
    before = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
