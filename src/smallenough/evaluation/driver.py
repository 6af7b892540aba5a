"""Runs inside the sandbox: executes solutions, evaluates what tests ask of them, and writes down plain data.

Run as a program of its own, with `receive` among its globals, which brings the next job. It never sees what a split
test expects, so nothing that a solution does to this process can make a wrong value right. Every job but the last is
worked off in a process that is forked for it, before the next one is read: so no solution sees in one job (the public
tests) what will be asked of it in the next (the hidden ones), unless it breaks out of its process, which a sandbox
that was not started by root does not prevent. Results leave on the standard output that the process
was started with, one line of JSON each, while the solution's own output is caught.

Only modules that are compiled into CPython are imported: `json` and `signal` would double the time to start. Strings
and numbers leave in hexadecimal, which is exact and needs no escapes.
"""

import _signal  # type: ignore[import-not-found]  # the C part of `signal`, which typeshed does not describe
import builtins
import io
import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MAX_DEPTH = 100
_GRACE_SIGNALS = 20  # how many time-outs a solution may swallow, one every 0.1 s, before its process ends
_LATE = 75  # exit code of a job that came to its end, but has used up what there was for all
_CONTAINERS = ((list, "l"), (tuple, "t"), (set, "S"), (frozenset, "F"))


class Timeout(BaseException):
    """The time for one test is over. Not an Exception, so that a solution does not catch it by the way."""


class TooLarge(Exception):
    """A value that is too deep or too large to leave the sandbox."""


class Sink(io.RawIOBase):
    """Keeps the first bytes that are written, and forgets the rest."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = bytearray()
        self.cut = False

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: "Any") -> int:
        """Takes everything."""
        room = self.limit - len(self.kept)
        self.kept += bytes(data[: max(room, 0)])
        self.cut = self.cut or len(data) > room
        return len(data)


# ----------------------------------------------------------------------------------------------- values as JSON


def text(value: str) -> str:
    """`value` as JSON: UTF-8 in hexadecimal, lone surrogates included."""
    return f'"{str.__str__(value).encode("utf-8", "surrogatepass").hex()}"'


def encode(value: "Any", room: list[int], depth: int = 0) -> str:
    """`value` as tagged JSON of at most `room[0]` characters, which it uses up. Overridden methods don't count."""
    if depth > _MAX_DEPTH:
        raise TooLarge(f"the value is nested deeper than {_MAX_DEPTH} levels")
    if value is None or value is True or value is False:
        done = "null" if value is None else "true" if value else "false"
    else:
        done = encode_atom(value, type(value), room)
    if done:
        _take(room, len(done))
        return done
    return encode_container(value, type(value), room, depth)


def encode_atom(value: "Any", kind: type, room: list[int]) -> str:
    """A number, a string, bytes or an ellipsis; empty: it is none of them."""
    if issubclass(kind, int):
        _check(room, int.bit_length(value) // 4)
        return f'["i","{int.__index__(value):x}"]'
    if issubclass(kind, float):
        return f'["f","{float.hex(value)}"]'
    if issubclass(kind, complex):
        value = complex.__pos__(value)
        return f'["c","{value.real.hex()}","{value.imag.hex()}"]'
    if issubclass(kind, str):
        _check(room, 2 * str.__len__(value))
        return f'["s",{text(value)}]'
    if issubclass(kind, bytes):
        _check(room, 2 * bytes.__len__(value))
        return f'["b","{bytes.hex(value)}"]'
    if issubclass(kind, bytearray):  # equals the same bytes
        _check(room, 2 * bytearray.__len__(value))
        return f'["b","{bytearray.hex(value)}"]'
    return '["e"]' if value is Ellipsis else ""


def encode_container(value: "Any", kind: type, room: list[int], depth: int) -> str:
    """Everything that holds something, and what is left."""
    for base, tag in _CONTAINERS:
        if issubclass(kind, base):
            return _sequence(tag, base.__iter__(value), room, depth)
    if issubclass(kind, dict):
        return _sequence("d", (part for item in dict.items(value) for part in item), room, depth)
    if kind is type({}.keys()) or kind is type({}.items()):  # equal the same sets
        return _sequence("S", iter(value), room, depth)
    decimal, fractions = sys.modules.get("decimal"), sys.modules.get("fractions")
    if decimal and kind is decimal.Decimal:
        done = f'["D",{text(str(value))}]'
    elif fractions and kind is fractions.Fraction:
        done = f'["Q",{encode(value.numerator, room)},{encode(value.denominator, room)}]'
    else:
        done = f'["o",{text(kind.__name__[:80])},{"true" if value else "false"}]'
    _take(room, len(done))
    return done


def _sequence(tag: str, items: "Any", room: list[int], depth: int) -> str:
    _take(room, 6)
    parts = [f'"{tag}"']
    parts.extend(encode(item, room, depth + 1) for item in items)
    return f"[{','.join(parts)}]"


def _take(room: list[int], size: int) -> None:
    _check(room, size)
    room[0] -= size


def _check(room: list[int], size: int) -> None:
    if size > room[0]:
        raise TooLarge("the value is too large to be compared")


def describe(error: BaseException) -> str:
    """An exception as JSON: its class, its message, and the line of the solution that it came from."""
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == "<solution>" else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<solution>":
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        message = str.__str__(error.msg if isinstance(error, SyntaxError) else str(error))[:500]
    except Exception:  # noqa: BLE001 - an exception of the solution's own making may fail to print itself
        message = ""
    return f'["x",{text(type(error).__name__)},{text(message)},{"null" if line is None else line}]'


_TIMEOUT = f'["x",{text("Timeout")},{text("it took too long")},null]'


# ------------------------------------------------------------------------------------------------ working a job off


class Runner:
    """Works a job off."""

    def __init__(self, job: "dict[str, Any]", channel: int, started: float, used: float) -> None:
        self.job = job
        self.channel = channel
        self.clock = time.perf_counter  # kept here, out of the way of a solution that changes modules
        self.processor = time.process_time
        self.started = started
        self.used = used  # processor time of the jobs before
        self.written = 0
        self.swallowed = 0
        self.on_timeout: Callable[[], None] | None = None

    def emit(self, kind: str, *fields: str) -> None:
        """Writes one line: the job's mark, the kind of line, and fields that are JSON already."""
        line = f'["{self.job["mark"]}","{kind}"{"".join("," + field for field in fields)}]\n'.encode()
        self.written += len(line)
        while line:
            line = line[posix.write(self.channel, line) :]

    def run(self) -> None:
        """All programs, until the job is done or this process has had its share."""
        self.emit("begin")
        _signal.signal(_signal.SIGALRM, self.alarm)
        _signal.signal(_signal.SIGPROF, self.alarm)
        fresh = True
        for number, program in self.job["programs"]:
            if not fresh and self.spent():
                return
            space = self.load(number, program)
            for test in program["tests"] if space is not None else ():
                if not fresh and self.spent():
                    return
                fresh = False
                if not Check(self, space or {}, *test).run(number):
                    return
            fresh = False

    def spent(self) -> bool:
        """Whether the rest is for a fresh process, so that every test finds at least half of all limits."""
        seconds = self.clock() - self.started
        job = self.job
        return bool(self.used + self.processor() > job["cpu"] or seconds > job["wall"] or self.written > job["bytes"])

    def load(self, number: int, program: "dict[str, Any]") -> "dict[str, Any] | None":
        """Executes a solution and the set-up of its tests; None: it failed."""
        module = type(sys)("solution")
        sys.modules["solution"] = module
        space = module.__dict__
        failed, _ = self.guarded(
            lambda: execute_program(program, space), lambda: self.emit("loaded", str(number), _TIMEOUT), Sink(0)
        )
        self.emit("loaded", str(number), failed or "null")
        return None if failed else space

    def guarded(self, work: "Callable[[], None]", last_words: "Callable[[], None]", sink: Sink) -> tuple[str, bool]:
        """Does `work` with its output caught and its time limited: the failure, if any, and whether time was up."""
        sys.stdout = io.TextIOWrapper(sink, "utf-8", "backslashreplace", write_through=True)
        sys.stderr = io.TextIOWrapper(Sink(0), "utf-8", "backslashreplace", write_through=True)
        sys.stdin = io.StringIO("")
        self.swallowed, self.on_timeout = 0, last_words
        failed = ""
        try:
            _signal.setitimer(_signal.ITIMER_REAL, self.job["wall"], 0.1)
            _signal.setitimer(_signal.ITIMER_PROF, self.job["cpu"], 0.1)
            work()
        except BaseException as error:  # noqa: BLE001 - whatever a solution raises is a result
            failed = describe(error)
        finally:
            self.on_timeout = None
            _signal.setitimer(_signal.ITIMER_REAL, 0)
            _signal.setitimer(_signal.ITIMER_PROF, 0)
        return (_TIMEOUT, True) if self.swallowed else (failed, False)

    def alarm(self, *_: object) -> None:
        """The time is up: stops what runs, and ends the process when that does not help."""
        if self.on_timeout is None:
            return
        self.swallowed += 1
        if self.swallowed > _GRACE_SIGNALS:
            self.on_timeout()
            posix._exit(0)
        raise Timeout


class Check:
    """One test on its way: expressions to evaluate, or a statement to execute."""

    def __init__(
        self, runner: Runner, space: "dict[str, Any]", index: int, setup: str, kind: str, sources: list[str]
    ) -> None:
        self.runner = runner
        self.space = space
        self.index = index
        self.setup = setup
        self.kind = kind
        self.sources = sources
        self.outcomes: list[str] = []
        self.seconds = 0.0
        self.sink = Sink(runner.job["output"])

    def run(self, number: int) -> bool:
        """Works the test off and reports; False: this process should not go on."""
        failed, timed_out = self.runner.guarded(self.work, lambda: self.report(number, _TIMEOUT), self.sink)
        self.report(number, failed)
        return not timed_out

    def work(self) -> None:
        """The set-up, then the test itself, timed without the set-up."""
        if self.setup:
            execute(self.setup, "<setup>", self.space)
        if self.kind == "run":
            self.timed(lambda code: exec(code, self.space), compile(self.sources[0], "<test>", "exec", 0, True))
            self.outcomes.append('["v",null]')
            return
        room = [self.runner.job["room"]]
        for code in [compile(source, "<test>", "eval", 0, True) for source in self.sources]:
            try:
                value = self.timed(lambda code: eval(code, self.space), code)  # noqa: S307 - the sandbox is for this
                self.outcomes.append(f'["v",{encode(value, room)}]')
            except Exception as error:  # noqa: BLE001 - a later expression may not need this one
                self.outcomes.append(describe(error))

    def timed(self, call: "Callable[[Any], Any]", code: "Any") -> "Any":
        """The result of `call`, whose time is added to the test's."""
        before = self.runner.clock()
        try:
            return call(code)
        finally:
            self.seconds += self.runner.clock() - before

    def report(self, number: int, failed: str) -> None:
        """Writes the test's line; what was not reached failed as the whole did."""
        missing = max(len(self.sources) - len(self.outcomes), 0)
        outcomes = self.outcomes + [failed or '["v",null]'] * missing
        if failed and not missing:
            outcomes = [failed] * max(len(self.sources), 1)
        self.runner.emit(
            "test",
            str(number),
            str(self.index),
            f'"{float.hex(self.seconds)}"',
            f'"{bytes(self.sink.kept).hex()}"',
            "true" if self.sink.cut else "false",
            f"[{','.join(outcomes)}]",
        )


def execute_program(program: "dict[str, Any]", space: "dict[str, Any]") -> None:
    """The solution, between the imports of the tests' set-up and all of it, and the name by which tests call it."""
    for line in program["imports"]:
        try:
            execute(line, "<setup>", space)
        except Exception:  # noqa: BLE001 - the set-up runs again after the solution, and fails there if it must
            continue
    execute(program["code"], "<solution>", space)
    name, alias = program["entry"], program["alias"]
    if name is not None:
        if name not in space and alias not in space:
            raise NameError(f"the code does not define {name}")
        space.setdefault(name, space.get(alias))
        if alias is not None:
            space[alias] = space[name]
    execute(program["setup"], "<setup>", space)


def execute(source: str, name: str, space: "dict[str, Any]") -> None:
    """Runs `source` in `space`."""
    exec(compile(source, name, "exec", 0, True), space)


def work(job: "dict[str, Any]", channel: int, started: float, used: float) -> bool:
    """Works one job off; whether there may be time for another."""
    runner = Runner(job, channel, started, used)
    runner.run()
    runner.emit("end", str(job["programs"][-1][0]))
    return not runner.spent()


def work_apart(job: "dict[str, Any]", channel: int, started: float) -> bool:
    """The same in a process of its own, which can't read what comes after the job; ends as that one does."""
    child = posix.fork()
    if not child:
        posix.dup2(posix.open("/dev/null", posix.O_RDONLY), 0)
        posix._exit(0 if work(job, channel, started, 0.0) else _LATE)
    _, status = posix.waitpid(child, 0)
    code = posix.waitstatus_to_exitcode(status)
    if code < 0:
        posix.kill(posix.getpid(), -code)
    if code not in (0, _LATE):
        posix._exit(code)
    return code == 0


def main() -> None:
    """Sets the real standard output aside, and works the jobs off."""
    receive = globals()["receive"]
    started = time.perf_counter()
    channel = posix.dup(1)
    posix.dup2(posix.open("/dev/null", posix.O_WRONLY), 1)
    for name in ("exit", "quit"):  # `site` would have defined them
        setattr(builtins, name, sys.exit)
    job = receive()
    while not job["last"]:
        if not work_apart(job, channel, started):
            posix._exit(0)
        job = receive()
    used = posix.times()
    work(job, channel, started, used.children_user + used.children_system)
    posix._exit(0)


if __name__ == "__main__":
    main()
