"""Programs that try to get out. Each ends with exit code 0 when it could not, and says on standard error what it could.

Tests run them as root; `as_user.py` runs them as an ordinary user, whose sandbox is built otherwise.
"""

from __future__ import annotations

from smallenough.sandboxes import _seccomp

_CALL = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == "aarch64"
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *arguments)))
    return errno.errorcode.get(ctypes.get_errno(), result) if result == -1 else result
"""

PROGRAMS = {
    "no network reaches out": """
import socket
interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
assert set(interfaces) <= {"lo", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0"}, interfaces
for family, address in ((socket.AF_INET, ("10.0.0.1", 80)), (socket.AF_INET, ("1.1.1.1", 53)),
                        (socket.AF_INET6, ("2001:db8::1", 80))):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            socket.socket(family, kind).connect(address)
        except OSError:
            continue
        raise SystemExit(f"reached {address}")
""",
    "no sockets beside internet and unix ones": """
import errno, socket
NETLINK, PACKET, BLUETOOTH, ALG, VSOCK, XDP = 16, 17, 31, 38, 40, 44
for family in (NETLINK, PACKET, BLUETOOTH, ALG, VSOCK, XDP):
    try:
        socket.socket(family, socket.SOCK_RAW)
    except OSError as error:
        assert error.errno == errno.EAFNOSUPPORT, (family, error)
    else:
        raise SystemExit(f"opened a socket of family {family}")
""",
    "only the system's folders are there": """
import os
there = set(os.listdir("/")) - {"root", "home", "opt", "srv"}
assert there <= {"bin", "lib", "lib32", "lib64", "usr", "etc", "dev", "proc", "tmp"}, there
assert os.listdir("/etc") == ["ld.so.cache"], os.listdir("/etc")
assert set(os.listdir("/usr")) <= {"bin", "lib", "lib32", "lib64", "local", "share"}, os.listdir("/usr")
import sys
for top in {"root", "home", "opt", "srv"} & set(os.listdir("/")):
    for folder, _, files in os.walk("/" + top):
        assert not files or folder.startswith(sys.base_prefix), (folder, files)
""",
    "no installed packages are there": """
import os, sys
seen = 0
for top in ("/usr/lib", "/usr/local/lib", sys.base_prefix + "/lib"):
    for folder, folders, files in os.walk(top):
        if os.path.basename(folder) in ("site-packages", "dist-packages"):
            assert not folders and not files, (folder, folders, files)
            seen += 1
        folders[:] = [f for f in folders if f.startswith("python") or f.endswith("-packages")]
assert seen or not os.path.isdir("/usr/lib/python3"), "nothing was looked at"
""",
    "only the temporary folders are writable": """
import errno, os, sys
mounts = [line.split() for line in open("/proc/mounts")]
writable = {m[1] for m in mounts if "rw" in m[3].split(",")}
devices = {"/dev/" + n for n in ("null", "zero", "full", "random", "urandom", "tty", "pts", "console")}
assert writable - devices <= {"/tmp", "/dev/shm", "/proc"}, writable
for folder in ("/", "/etc", "/dev", "/usr/lib", "/usr/bin", "/proc", "/root", sys.base_prefix, os.__file__, "/bin",
               sys.base_prefix + "/lib"):
    try:
        os.close(os.open(os.path.join(folder, "new"), os.O_CREAT | os.O_WRONLY))
    except OSError as error:
        continue
    raise SystemExit(f"{folder} is writable")
devices = "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero console".split()
assert set(os.listdir("/dev")) <= set(devices), os.listdir("/dev")
""",
    "the system can't be remounted": _CALL
    + """
MS_REMOUNT, MS_BIND = 32, 4096
for target in (b"/", b"/usr/lib", b"/dev", b"/tmp"):
    for flags in (MS_REMOUNT, MS_REMOUNT | MS_BIND, MS_BIND):
        assert libc.mount(b"none", target, b"tmpfs", flags, None) == -1 and ctypes.get_errno() == errno.EPERM
    assert libc.umount2(target, 2) == -1 and ctypes.get_errno() == errno.EPERM
""",
    "nothing of the kernel can be set": """
import os
for folder, _, files in os.walk("/proc/sys"):
    for name in files:
        path = os.path.join(folder, name)
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError:
            continue
        raise SystemExit(f"{path} is writable")
for path in ("/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg", "/proc/1/mem", "/proc/1/oom_score_adj"):
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        continue
    assert path.startswith("/proc/1/") and os.stat("/proc/1").st_uid == os.getuid(), path
""",
    "the temporary folder is limited": """
import errno, os
written = 0
try:
    for number in range(64):
        with open(f"/tmp/{number}", "wb") as file:
            written += file.write(bytes(2**20))
except OSError as error:
    assert error.errno == errno.ENOSPC, error
assert written <= 8 * 2**20, written
""",
    "shared memory is limited": """
import errno
written = 0
try:
    for number in range(64):
        with open(f"/dev/shm/{number}", "wb") as file:
            written += file.write(bytes(2**20))
except OSError as error:
    assert error.errno == errno.ENOSPC, error
assert written <= 8 * 2**20, written
""",
    "no environment shows the parent's": """
import glob, os
assert set(os.environ) <= {"PWD", "LC_CTYPE", "MALLOC_ARENA_MAX"}, os.environ
for path in glob.glob("/proc/*/environ"):
    try:
        text = open(path, "rb").read()
    except PermissionError:
        continue
    names = {line.split(b"=")[0] for line in text.split(b"\\0") if line}
    assert names <= {b"PWD", b"LC_CTYPE", b"MALLOC_ARENA_MAX"}, text
""",
    "no other process is there": """
import os
assert {int(name) for name in os.listdir("/proc") if name.isdigit()} == {1, os.getpid()}
for pid in list(range(3, 3000)) + [2**22 - 1]:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        continue
    assert pid == os.getpid(), pid
""",
    "the session and the terminal are its own": _CALL
    + """
import fcntl
assert os.getsid(0) in (1, 2) and os.getsid(0) != 0
for request in (0x5412, 0x541C):
    try:
        fcntl.ioctl(0, request, b"x")
    except OSError as error:
        assert error.errno == errno.EPERM, error
    else:
        raise SystemExit("typed into the terminal")
try:
    os.open("/dev/tty", os.O_RDWR)
except OSError:
    pass
else:
    raise SystemExit("has a terminal")
""",
    "there is no privilege and no way to one": """
import os
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
for name in ("CapPrm", "CapEff", "CapAmb"):
    assert int(status[name], 16) == 0, (name, status[name])
assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
assert os.getuid() != 0 and not set(os.getgroups()) & {0}
for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.chroot("/tmp")):
    try:
        attempt()
    except OSError:
        continue
    raise SystemExit("took a privilege")
""",
    "limits can't be raised": """
import resource
for name in dir(resource):
    if name.startswith("RLIMIT_"):
        which = getattr(resource, name)
        soft, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            try:
                resource.setrlimit(which, (soft, hard + 1))
            except (ValueError, OSError):
                continue
            raise SystemExit(f"raised {name}")
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
""",
    "dangerous system calls are denied": _CALL
    + f"NUMBERS = {_seccomp.DENIED!r}\n"
    + """
for name, both in NUMBERS.items():
    if both[ARM] is not None:
        result = call(both[ARM], 0, 0, 0, 0, 0, 0)
        assert result == "EPERM", (name, result)
""",
    "there are no namespaces to make": _CALL
    + """
assert call(435, 0, 0) == "ENOSYS"
for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
    assert call(220 if ARM else 56, flag | 17, 0, 0, 0, 0) == "EPERM", hex(flag)
if not ARM:
    assert call(0x40000000 | 39) == "EPERM"
""",
}
