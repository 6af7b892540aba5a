"""A process that does what its standard input says, and tells what the kernel says that it and its children used.

`burn S`: burns S CPU seconds itself. `child S`: a child burns them, and is waited for. `shorts S`: children of 0.1 CPU
seconds, one after another, for S seconds. `nested S`: a grandchild burns them. `grow N`: holds N bytes more.
`stay`: starts an idle child that stays and tells its id. `leave`: ends that child. Each is answered by one line.
"""

import resource
import subprocess
import sys
import time

BURN = "import sys, time\nend = time.process_time() + float(sys.argv[1])\nwhile time.process_time() < end: pass"
NEST = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[2]], check=True)"


def used() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def start(code: str, *more: str) -> None:
    subprocess.run([sys.executable, "-S", "-c", code, *more], check=True)


def tell(value: float) -> None:
    sys.stdout.write(f"{value}\n")
    sys.stdout.flush()


def main() -> None:
    held = []
    staying = []
    for line in sys.stdin:
        what, _, amount = line.strip().partition(" ")
        if what == "burn":
            end = time.process_time() + float(amount)
            while time.process_time() < end:
                pass
        elif what == "child":
            start(BURN, amount)
        elif what == "nested":
            start(NEST, BURN, amount)
        elif what == "shorts":
            until = time.monotonic() + float(amount)
            while time.monotonic() < until:
                start(BURN, "0.1")
        elif what == "grow":
            held.append(bytearray(b"x") * int(amount))
        elif what == "stay":
            staying.append(subprocess.Popen(["sleep", "600"]))
            tell(staying[-1].pid)
            continue
        elif what == "leave":
            staying[-1].kill()
            staying.pop().wait()
        tell(used())
    for child in staying:
        child.kill()
        child.wait()


main()
