"""The system calls that a sandboxed program may not make, as the BPF program that the kernel takes.

A list of what is denied: what a solution of a programming task has no use for and what has let programs out of
sandboxes before. All else stays allowed, so this is one wall among several, never the only one. Denied calls fail with
EPERM; `clone3` with ENOSYS, upon which the C library takes `clone`, whose flags can be looked at.
"""

from __future__ import annotations

import errno
import platform
import struct

_EPERM, _ENOSYS, _EAFNOSUPPORT = errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT

# name: (number on x86_64, number on aarch64); None where the architecture has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    # kernel keys: they outlive the run and are not in any namespace that is unshared
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # other namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467), "swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "kcmp": (312, 272), "process_madvise": (440, 440), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # wide interfaces into the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "personality": (135, 92), "syslog": (103, 116), "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None), "uselib": (134, None), "_sysctl": (156, None), "vmsplice": (278, 75),
    # memory that neither the address space nor the temporary folder's size limits
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180),
    # the machine itself
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161),
    "setdomainname": (171, 162), "vhangup": (153, 58), "iopl": (172, None), "ioperm": (173, None),
}  # fmt: skip

_CLONE, _CLONE3, _SOCKET, _SOCKETPAIR, _IOCTL = (56, 220), (435, 435), (41, 198), (53, 199), (16, 29)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_NEW_NAMESPACE = 0x7E020080
"""CLONE_NEWUSER, PID, NET, IPC, UTS, CGROUP, NS and TIME."""
_TERMINAL_INJECTION = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: input for the terminal that a program shares."""
_FAMILIES = (1, 2, 10)
"""Sockets that namespaces contain: unix, IPv4, IPv6. Others, as vsock, reach out of the network namespace."""

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24


def supported(machine: str | None = None) -> bool:
    """Whether there is a filter for this processor architecture."""
    return (machine or platform.machine()) in _ARCHITECTURES


def bpf(machine: str | None = None) -> bytes:
    """The filter for `machine` (default: this one), as `struct sock_filter[]`.

    Raises:
        KeyError: there is none for that architecture.
    """
    column, audit = _ARCHITECTURES[machine or platform.machine()]
    out: list[bytes] = []

    def emit(code: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        out.append(struct.pack("=HBBI", code, if_true, if_false, value))

    emit(_LOAD, _ARCHITECTURE)
    emit(_JUMP_EQUAL, audit, 1, 0)
    emit(_RETURN, _KILL)
    emit(_LOAD, _NUMBER)
    if column == 0:  # The x32 calls have numbers of their own, which the list does not hold.
        emit(_JUMP_AT_LEAST, 0x40000000, 0, 1)
        emit(_RETURN, _ERRNO | _EPERM)
    emit(_JUMP_EQUAL, _CLONE3[column], 0, 1)
    emit(_RETURN, _ERRNO | _ENOSYS)
    emit(_JUMP_EQUAL, _CLONE[column], 0, 4)
    emit(_LOAD, _ARGUMENT_0)
    emit(_JUMP_ANY_BIT, _NEW_NAMESPACE, 0, 1)
    emit(_RETURN, _ERRNO | _EPERM)
    emit(_RETURN, _ALLOW)
    emit(_JUMP_EQUAL, _IOCTL[column], 0, 5)
    emit(_LOAD, _ARGUMENT_1)
    emit(_JUMP_EQUAL, _TERMINAL_INJECTION[0], 1, 0)
    emit(_JUMP_EQUAL, _TERMINAL_INJECTION[1], 0, 1)
    emit(_RETURN, _ERRNO | _EPERM)
    emit(_RETURN, _ALLOW)
    for sockets in (_SOCKET[column], _SOCKETPAIR[column]):
        emit(_JUMP_EQUAL, sockets, 0, 6)
        emit(_LOAD, _ARGUMENT_0)
        emit(_JUMP_EQUAL, _FAMILIES[0], 3, 0)
        emit(_JUMP_EQUAL, _FAMILIES[1], 2, 0)
        emit(_JUMP_EQUAL, _FAMILIES[2], 1, 0)
        emit(_RETURN, _ERRNO | _EAFNOSUPPORT)
        emit(_RETURN, _ALLOW)
    for number in [both[column] for both in DENIED.values()]:
        if number is not None:
            emit(_JUMP_EQUAL, number, 0, 1)
            emit(_RETURN, _ERRNO | _EPERM)
    emit(_RETURN, _ALLOW)
    return b"".join(out)
