"""Kafka's hash of many keys at once: keys of the same length share each step."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.chassis.record_batches import MURMUR_MIX, MURMUR_SEED

_MIX = np.uint32(MURMUR_MIX)
_13, _15, _24 = np.uint32(13), np.uint32(15), np.uint32(24)


def murmur2_of(keys: Sequence[bytes]) -> NDArray[np.uint32]:
    """The same as `murmur2` of each key."""
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    hashes = np.empty(len(keys), np.uint32)
    for length in np.flatnonzero(np.bincount(lengths)).tolist():
        places = np.flatnonzero(lengths == length)
        joined = b"".join([keys[place] for place in places.tolist()])
        hashes[places] = _of_length(np.frombuffer(joined, np.uint8).reshape(len(places), length), length)
    return hashes


def _of_length(keys: NDArray[np.uint8], length: int) -> NDArray[np.uint32]:
    whole = length & ~3
    hashed = np.full(len(keys), MURMUR_SEED ^ length, np.uint32)
    words = np.ascontiguousarray(keys[:, :whole]).view("<u4").astype(np.uint32)
    for place in range(whole // 4):
        word = words[:, place] * _MIX
        hashed = (hashed * _MIX) ^ ((word ^ word >> _24) * _MIX)
    if whole < length:
        tail = np.zeros(len(keys), np.uint32)
        for place in range(whole, length):
            tail |= keys[:, place].astype(np.uint32) << np.uint32(8 * (place - whole))
        hashed = (hashed ^ tail) * _MIX
    hashed = (hashed ^ hashed >> _13) * _MIX
    return hashed ^ hashed >> _15
