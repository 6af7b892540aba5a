from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from smallenough.sandboxes import _seccomp, _stage, _tree


def allowed(filter_: bytes, audit: int, number: int, *arguments: int) -> int:
    """What a seccomp filter returns, by the few BPF instructions that it uses."""
    data = struct.pack("=IIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
    program = list(struct.iter_unpack("=HBBI", filter_))
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = program[at]
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
            at += 1
        elif code == 0x06:
            return int(value)
        else:
            test = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += 1 + (if_true if test else if_false)


ALLOW, EPERM, ENOSYS, EAFNOSUPPORT, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x50061, 0x80000000


@pytest.mark.parametrize(("machine", "audit", "column"), [("x86_64", 0xC000003E, 0), ("aarch64", 0xC00000B7, 1)])
class TestSeccomp:
    def test_denied_calls_are_denied_and_others_not(self, machine: str, audit: int, column: int) -> None:
        filter_ = _seccomp.bpf(machine)
        denied = {both[column] for both in _seccomp.DENIED.values()} - {None}
        special = {_seccomp._CLONE3[column]}
        for number in set(range(600)) - special:
            assert allowed(filter_, audit, number, 1) == (EPERM if number in denied else ALLOW), number

    def test_arguments_decide_where_they_must(self, machine: str, audit: int, column: int) -> None:
        filter_ = _seccomp.bpf(machine)
        clone, socket, ioctl = _seccomp._CLONE[column], _seccomp._SOCKET[column], _seccomp._IOCTL[column]
        assert allowed(filter_, audit, clone, 0x01200011) == ALLOW
        assert allowed(filter_, audit, clone, 0x10000011) == EPERM
        assert allowed(filter_, audit, _seccomp._CLONE3[column]) == ENOSYS
        assert [allowed(filter_, audit, socket, family) for family in (1, 2, 10)] == [ALLOW] * 3
        assert [allowed(filter_, audit, socket, family) for family in (16, 17, 40)] == [EAFNOSUPPORT] * 3
        assert [allowed(filter_, audit, ioctl, 0, call) for call in (0x5412, 0x541C, 0x5401)] == [EPERM, EPERM, ALLOW]

    def test_another_architectures_calls_end_the_process(self, machine: str, audit: int, column: int) -> None:
        assert allowed(_seccomp.bpf(machine), 0x40000003, 1) == KILL


def test_x32_calls_are_denied() -> None:
    assert allowed(_seccomp.bpf("x86_64"), 0xC000003E, 0x40000000 + 39) == EPERM


def test_other_architectures_have_no_list() -> None:
    assert not _seccomp.supported("riscv64")


class TestReport:
    def test_it_is_read_among_what_a_launcher_reports(self) -> None:
        report = b'{\n    "child-pid": 77\n}\nready\nended 256 1500000 8192\n'
        assert _stage.read(report) == _stage.Report(True, 256, 1.5, 8192 * 1024)

    def test_without_an_end_the_program_was_stopped(self) -> None:
        assert _stage.read(b"ready\n") == _stage.Report(True)

    def test_without_anything_it_was_not_reached(self) -> None:
        assert not _stage.read(b'{"child-pid": 77}').ready

    def test_the_interpreter_is_no_virtual_environments(self) -> None:
        assert not Path(_stage.interpreter()).is_symlink()
        done = subprocess.run(
            [_stage.interpreter(), "-I", "-c", "import sys; print(sys.prefix == sys.base_prefix)"],
            capture_output=True,
            check=True,
        )
        assert done.stdout == b"True\n"


class TestTree:
    def test_it_sees_descendants_their_threads_and_their_memory(self) -> None:
        source = (
            "import os, sys, threading\n"
            "held = bytearray(b'x') * 30_000_000\n"
            "for _ in range(2): threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
            "if os.fork() == 0:\n    os.write(1, b'x')\nos.read(0, 1)\nos._exit(0)"
        )
        with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.read(1)
            tree = _tree.look(process.pid)
            assert (len(tree.pids), tree.tasks) == (2, 4)
            assert tree.resident_bytes > 60_000_000
            proportional = tree.proportional_bytes
            assert proportional is not None
            assert 30_000_000 < proportional < 60_000_000
            assert 30_000_000 < tree.peak_bytes < 60_000_000
            process.communicate(b"xx")

    def test_what_has_ended_is_not_there(self) -> None:
        with subprocess.Popen(["/bin/true"]) as process:
            process.wait()
        assert _tree.look(process.pid).pids == ()
