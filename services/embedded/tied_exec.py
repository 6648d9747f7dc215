"""Become another program that ends when the parent ends; run as a script, with no site packages.

Not a `preexec_fn`, because that runs Python between fork and exec, which can hang in a threaded parent.
The process id stays the same from here to the program.
"""

import ctypes
import os
import select
import sys

_PR_SET_PDEATHSIG = 1
_NOT_STARTED = 127
_LOOK_EVERY_S = 0.5


def _ask_kernel(death_signal: int) -> bool:
    """Have Linux send the signal at the parent's death; False where the kernel has no such call."""
    if not sys.platform.startswith("linux"):
        return False
    status: int = ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal)
    return status == 0


def _watch(death_signal: int, pipe: int) -> None:
    """Fork a watchdog: the pipe closes when the parent dies, and then the watchdog ends the program."""
    program = os.getpid()
    if os.fork() != 0:
        os.set_inheritable(pipe, False)
        return
    while os.getppid() == program:
        readable, _, _ = select.select([pipe], [], [], _LOOK_EVERY_S)
        if readable:
            os.kill(program, death_signal)
            break
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Arguments: parent's pid, signal, pipe (-1: none), uid and gid (-1: as now), then the program's own."""
    parent, death_signal, pipe, uid, gid = (int(argument) for argument in arguments[:5])
    program = arguments[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After setuid, which would clear the wish again.
    if pipe >= 0:
        _watch(death_signal, pipe)
    elif not _ask_kernel(death_signal):
        sys.exit("this system cannot tie a child process to its parent")
    if os.getppid() != parent:  # it died in between; nobody would end us
        sys.exit(_NOT_STARTED)
    try:
        os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"FATAL: {program[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
