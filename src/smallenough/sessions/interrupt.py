"""Ctrl-C: once, to finish what is in flight and save; twice, to stop now. Either way nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from smallenough.runner.arm import Control, Stop


@contextmanager
def interruptible(say: Callable[[str], None]) -> Iterator[Control]:
    """Within, SIGINT and SIGTERM end the session through the `Control` that is given, instead of the process.

    Outside the main thread, where Python allows no signal handlers, the control works without them.

    Args:
        say: told what a signal does.
    """
    control = Control()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if control.stop is Stop.NO:
            control.request(Stop.SOON, "interrupted")
            say("interrupted: finishing what is in flight; press Ctrl-C again to stop now")
        else:
            control.request(Stop.NOW, "interrupted")
            say("stopping now; what was in flight is done again on resume")

    def terminate(_number: int, _frame: FrameType | None) -> None:
        control.request(Stop.NOW, "terminated")

    if threading.current_thread() is not threading.main_thread():
        yield control
        return
    before = {signal.SIGINT: signal.signal(signal.SIGINT, interrupt)}
    before[signal.SIGTERM] = signal.signal(signal.SIGTERM, terminate)
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
