"""Memory for large batches: hundreds of megabytes that are taken and given back several times a second.

Without this, the C library gives a block of more than 32 MiB back to the system at once, and every page of the next one
is a fault; and Python looks through all objects of a batch for cycles, where there are none.
"""

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # <malloc.h>
_LARGEST_BLOCK = 64 * 1024 * 1024
"""What Kafka sends at once lies below it; what grows with all that was counted goes back."""
_LEAST_GIVEN_BACK = 8 * _LARGEST_BLOCK
"""More than a batch frees at once: what Kafka sent, in three copies, and what was made of it."""


def make_ready_for_large_batches() -> None:
    """Keep freed memory for the next batch, and seldom look for cycles."""
    gc.set_threshold(100_000, 50, 100)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Other C libraries have no such setting, and an old glibc refuses it; alone the second would do harm.
    if mallopt is not None and mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK):
        mallopt(_TRIM_THRESHOLD, _LEAST_GIVEN_BACK)


def give_back_memory() -> None:
    """Call when batches are small again: what large ones kept goes back to the system."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
