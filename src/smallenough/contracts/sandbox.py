"""What every sandbox must do. Subclass it and bring the fixture `sandbox`."""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.protocols import Sandbox
from smallenough.records import Execution, Limits, Program, replace

LIMITS = Limits(cpu_seconds=10, wall_seconds=20, memory_bytes=256 * 2**20)

ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"

FORK_BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(60)
"""

THREAD_BOMB = """
import threading, time
started = 0
try:
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        started += 1
finally:
    print(started, flush=True)
"""

MEMORY_OF_THE_TREE = """
import os, sys, time
for _ in range(4):
    if os.fork() == 0:
        held = bytearray(os.urandom(2**20) * 100)
        time.sleep(60)
        os._exit(0)
print(len(sys.argv), flush=True)
for _ in range(4):
    if os.waitstatus_to_exitcode(os.wait()[1]) != 0:
        sys.exit(1)
"""


def running(marker: str) -> list[int]:
    """The processes of this machine that have `marker` among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


class SandboxContract:
    """`sandbox` runs what it is given; `run` does so under `LIMITS`, some of which are replaced."""

    @pytest.fixture
    def sandbox(self) -> Sandbox:
        raise NotImplementedError

    def run(self, sandbox: Sandbox, source: str, stdin: bytes = b"", **limits: Any) -> Execution:
        return sandbox.run(Program(source, stdin), replace(LIMITS, **limits))

    def test_it_is_a_sandbox_and_signs_what_it_did(self, sandbox: Sandbox) -> None:
        assert isinstance(sandbox, Sandbox)
        assert self.run(sandbox, "pass").sandbox == sandbox.name

    def test_it_says_in_words_what_is_in_force(self, sandbox: Sandbox) -> None:
        said = sandbox.describe()
        assert all(isinstance(word, str) and word for pair in said.items() for word in pair)

    def test_a_result_comes_back_with_what_it_took(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "sum(range(3_000_000)); print('done')")
        assert (done.exit_code, done.stopped, done.stdout, done.stderr) == (0, None, b"done\n", b"")
        assert done.cpu_seconds is not None
        assert 0.005 < done.cpu_seconds < done.seconds < 10

    def test_the_peak_of_memory_is_the_programs_own(self, sandbox: Sandbox) -> None:
        ballast = bytearray(b"x") * 150_000_000
        small = self.run(sandbox, "pass").peak_memory_bytes
        large = self.run(sandbox, "held = bytearray(b'x') * 60_000_000").peak_memory_bytes
        assert small is not None
        assert large is not None
        assert 2**20 < small < 60_000_000 < large < len(ballast)

    def test_cpu_time_of_children_counts(self, sandbox: Sandbox) -> None:
        source = "import os, time\nif os.fork():\n    os.wait()\nelse:\n    while time.process_time() < 0.3: pass"
        cpu = self.run(sandbox, source).cpu_seconds
        assert cpu is not None
        assert 0.29 < cpu < 2

    @pytest.mark.parametrize(
        ("source", "code"),
        [
            ("raise SystemExit", 0),
            ("import sys; sys.exit(7)", 7),
            ("exit(8)", 8),
            ("import os; os._exit(9)", 9),
            ("import sys; sys.exit(-1)", 255),
            ("import os; os._exit(139)", 139),
            ("1 / 0", 1),
            ("def", 1),
            ("x = '\\x00'", 0),
            ("x = '\x00'", 1),
            ("x = '\ud800'", 1),
        ],
    )
    def test_exit_codes(self, sandbox: Sandbox, source: str, code: int) -> None:
        done = self.run(sandbox, source)
        assert (done.exit_code, done.stopped) == (code, None)

    @pytest.mark.parametrize("number", ["SIGSEGV", "SIGKILL", "SIGTERM", "SIGABRT"])
    def test_a_signal_is_not_an_exit_code(self, sandbox: Sandbox, number: str) -> None:
        done = self.run(sandbox, f"import os, signal; os.kill(os.getpid(), signal.{number})")
        assert (done.exit_code, done.stopped) == (None, None)

    def test_an_exception_is_told_as_python_tells_it_without_the_sandboxs_own_frames(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "def f():\n    raise ValueError('äöü')\nf()")
        assert done.stderr.decode().splitlines() == [
            "Traceback (most recent call last):",
            '  File "program.py", line 3, in <module>',
            '  File "program.py", line 2, in f',
            "ValueError: äöü",
        ]

    def test_it_is_the_main_program_with_nothing_in_its_names(self, sandbox: Sandbox) -> None:
        source = "print(__name__, [n for n in dir() if not n.startswith('__')]); import sys; print(sys.argv)"
        assert self.run(sandbox, source).stdout == b"__main__ []\n['program.py']\n"

    def test_standard_error_is_apart(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "import sys; print('out'); print('err', file=sys.stderr)")
        assert (done.stdout, done.stderr) == (b"out\n", b"err\n")

    def test_unicode_goes_in_and_out(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "print('日本 ' + input() + ' é')", "größer 🙂\n".encode())
        assert done.stdout.decode() == "日本 größer 🙂 é\n"

    def test_no_standard_input_is_its_end(self, sandbox: Sandbox) -> None:
        assert self.run(sandbox, ECHO).stdout == b""

    def test_a_large_input_and_a_large_source_arrive_whole(self, sandbox: Sandbox) -> None:
        content = secrets.token_bytes(3_000_000)
        source = f"text = {'x' * 500_000!r}\n{ECHO}\nsys.stderr.write(str(len(text)))"
        done = self.run(sandbox, source, content, output_bytes=4_000_000)
        assert (done.stdout, done.stderr) == (content, b"500000")

    def test_a_large_input_that_nobody_reads_does_no_harm(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "print('done')", bytes(5_000_000))
        assert (done.exit_code, done.stdout) == (0, b"done\n")

    def test_any_bytes_are_echoed_as_they_are(self, sandbox: Sandbox) -> None:
        @settings(max_examples=25, deadline=None)
        @given(content=st.binary(max_size=300))
        def echo(content: bytes) -> None:
            assert self.run(sandbox, ECHO, content).stdout == content

        echo()

    def test_the_source_is_in_no_argument_list(self, sandbox: Sandbox) -> None:
        source = "marker_in_source = 1; print(any('marker_in_' + 'source' in a for a in __import__('sys').orig_argv))"
        assert self.run(sandbox, source).stdout == b"False\n"

    @pytest.mark.parametrize("cpu_seconds", [0.3, 1.2])
    def test_an_endless_loop_is_stopped_for_its_cpu_time(self, sandbox: Sandbox, cpu_seconds: float) -> None:
        done = self.run(sandbox, "print('before', flush=True)\nwhile True: pass", cpu_seconds=cpu_seconds)
        assert (done.exit_code, done.stopped, done.stdout) == (None, "cpu", b"before\n")
        assert done.cpu_seconds is not None
        assert cpu_seconds <= done.cpu_seconds < cpu_seconds + 1

    def test_a_loop_over_several_processes_is_stopped_for_their_cpu_time_together(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "import os\nos.fork()\nos.fork()\nwhile True: pass", cpu_seconds=0.4)
        assert done.stopped == "cpu"

    def test_a_handler_does_not_help_against_the_limit_on_cpu_time(self, sandbox: Sandbox) -> None:
        source = "import signal\nfor n in (signal.SIGXCPU, signal.SIGTERM): signal.signal(n, print)\nwhile True: pass"
        assert self.run(sandbox, source, cpu_seconds=0.3).stopped == "cpu"

    def test_a_sleeper_is_stopped_for_its_wall_time(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "import time; print('before', flush=True); time.sleep(60)", wall_seconds=1.0)
        assert (done.exit_code, done.stopped, done.stdout) == (None, "wall", b"before\n")
        assert 1.0 <= done.seconds < 4

    def test_a_memory_bomb_is_stopped_for_its_memory(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "held = []\nwhile True: held.append(bytearray(b'x') * 5_000_000)")
        assert done.stopped == "memory"
        assert done.peak_memory_bytes is not None
        assert done.peak_memory_bytes <= LIMITS.memory_bytes * 1.1

    def test_a_program_may_outlive_its_own_memory_error(self, sandbox: Sandbox) -> None:
        source = "try:\n    bytearray(10**10)\nexcept MemoryError:\n    print('survived')"
        done = self.run(sandbox, source)
        assert (done.exit_code, done.stopped, done.stdout) == (0, None, b"survived\n")

    def test_memory_is_limited_for_all_processes_together(self, sandbox: Sandbox) -> None:
        assert self.run(sandbox, MEMORY_OF_THE_TREE).stopped == "memory"

    def test_threads_that_need_little_memory_may_have_it(self, sandbox: Sandbox) -> None:
        source = (
            "from concurrent.futures import ThreadPoolExecutor as Pool\n"
            "with Pool(12) as pool: print(sum(map(len, pool.map(lambda n: bytearray(5_000_000), range(12)))))"
        )
        assert self.run(sandbox, source).stdout == b"60000000\n"

    def test_a_fork_bomb_is_contained(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, FORK_BOMB, wall_seconds=1.0)
        assert done.stopped in ("wall", "processes", "cpu")
        assert self.run(sandbox, "print('next')").stdout == b"next\n"

    def test_a_thread_bomb_is_contained(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, THREAD_BOMB)
        assert done.stopped == "processes" or int(done.stdout) < 100

    def test_a_flood_of_output_is_stopped_and_cut(self, sandbox: Sandbox) -> None:
        for stream in ("stdout", "stderr"):
            done = self.run(sandbox, f"import sys\nwhile True: sys.{stream}.write('x' * 1000)", output_bytes=5000)
            assert done.stopped == "output"
            assert getattr(done, stream) == b"x" * 5000

    def test_output_up_to_the_limit_is_let_through(self, sandbox: Sandbox) -> None:
        done = self.run(sandbox, "print('x' * 4999)", output_bytes=5000)
        assert (done.exit_code, done.stopped, len(done.stdout)) == (0, None, 5000)

    def test_a_file_larger_than_the_disk_may_be_can_not_be_written(self, sandbox: Sandbox) -> None:
        source = "f = open('large', 'wb')\nfor _ in range(64): f.write(bytes(2**16)); f.flush()"
        done = self.run(sandbox, source, disk_bytes=2**21)
        assert done.exit_code == 1
        assert b"OSError" in done.stderr

    def test_the_working_folder_is_writable_and_empty_at_first(self, sandbox: Sandbox) -> None:
        source = "import os, tempfile; print(os.listdir()); open('kept', 'w').close(); tempfile.mkdtemp()"
        for _ in range(2):
            done = self.run(sandbox, source)
            assert (done.exit_code, done.stdout) == (0, b"[]\n")

    def test_files_of_the_parent_are_not_open_inside(self, sandbox: Sandbox, tmp_path: Path) -> None:
        with (tmp_path / "secret").open("w") as file:
            os.set_inheritable(file.fileno(), True)
            done = self.run(sandbox, "import os; print(sorted(os.listdir('/proc/self/fd')))")
        assert done.stdout == b"['0', '1', '2', '3']\n"

    def test_environment_of_the_parent_is_not_inside(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_KEY", "secret")
        names = set(self.run(sandbox, "import os; print(*os.environ)").stdout.decode().split())
        assert names <= {"PWD", "LC_CTYPE", "TMPDIR", "MALLOC_ARENA_MAX"}

    def test_sixteen_at_once_do_not_mix_up(self, sandbox: Sandbox) -> None:
        def square(number: int) -> bytes:
            return self.run(sandbox, "print(int(input()) ** 2)", str(number).encode()).stdout

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(square, range(48))) == [f"{n * n}\n".encode() for n in range(48)]

    @pytest.mark.parametrize("end", ["", "time.sleep(60)", "while True: pass"])
    def test_nothing_runs_afterwards(self, sandbox: Sandbox, end: str) -> None:
        marker = f"31{secrets.randbelow(10**9)}"
        source = f"import subprocess, time; subprocess.Popen(['/bin/sleep', '{marker}']); print(1, flush=True); {end}"
        if end.startswith("while"):
            source = source.replace("; while", "\nwhile")
        done = self.run(sandbox, source, wall_seconds=1.5, cpu_seconds=0.5)
        assert done.stdout == b"1\n"
        assert running(marker) == []

    def test_processes_of_the_standard_library_work(self, sandbox: Sandbox) -> None:
        source = (
            "import multiprocessing as m\n"
            "if __name__ == '__main__':\n"
            "    with m.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))"
        )
        done = self.run(sandbox, source)
        assert (done.stdout, done.stderr) == (b"[1, 2]\n", b"")
