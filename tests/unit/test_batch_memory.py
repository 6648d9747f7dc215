"""Memory of a large batch is kept for the next one; asked of the C library in a process of its own."""

import ctypes
import subprocess
import sys

import pytest

_BLOCKS_OF_THEIR_OWN = """
import ctypes, sys

class Told(ctypes.Structure):  # struct mallinfo2 of <malloc.h>
    _fields_ = [(name, ctypes.c_size_t) for name in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Told
if sys.argv[1] == "ready":
    from services.chassis.batch_memory import make_ready_for_large_batches
    make_ready_for_large_batches()
before = libc.mallinfo2()
batch = [bytes(60_000_000) for _ in range(5)]
taken = libc.mallinfo2().hblks - before.hblks
del batch
kept = libc.mallinfo2().arena - before.arena >= 300_000_000
from services.chassis.batch_memory import give_back_memory
give_back_memory()
print(taken, kept, libc.mallinfo2().arena - before.arena >= 60_000_000)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="this C library does not tell of its memory")
@pytest.mark.parametrize(("how", "told"), [("ready", "0 True False"), ("not ready", "5 False False")])
def test_large_blocks_are_parts_of_a_heap_that_keeps_them_until_it_is_told_not_to(how: str, told: str) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", _BLOCKS_OF_THEIR_OWN, how], capture_output=True, text=True, check=False, timeout=60
    )
    assert (asked.stdout.strip(), asked.stderr) == (told, "")
