"""Stop requests: from a cluster that reclaims the machine, or from a user."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """The signal that asked to stop, if one came.

    Attributes:
        signal: The last signal received; None at first.
        pass_on: Called on every signal.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.pass_on: Callable[[], object] = lambda: None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self.pass_on()


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Record SIGTERM and SIGUSR1 (SLURM's warning before a time limit or preemption) instead of dying from them."""
    request = StopRequest()
    before = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
