"""Kafka's hash of many keys at once."""

import numpy as np
from numpy.typing import NDArray

from services.aggregator.publishing.columns import FILL, Bytes, Parts, joined, length
from services.chassis.record_batches import MURMUR_MIX, MURMUR_SEED

_MIX = np.uint32(MURMUR_MIX)
_13, _15, _24 = np.uint32(13), np.uint32(15), np.uint32(24)


def murmur2_of(keys: Parts) -> NDArray[np.uint32]:
    """The same as `murmur2` of each key."""
    lengths = length(keys)
    words = _aligned(joined(keys), lengths).view("<u4")
    whole = lengths >> 2
    hashed = np.uint32(MURMUR_SEED) ^ lengths.astype(np.uint32)
    for place in range(int(whole.max(initial=0))):
        word = words[:, place] * _MIX
        hashed = np.where(place < whole, (hashed * _MIX) ^ ((word ^ word >> _24) * _MIX), hashed)
    tail = words[np.arange(len(words)), whole]  # behind a key there are zeros
    hashed = np.where(lengths & 3 > 0, (hashed ^ tail) * _MIX, hashed)
    hashed = (hashed ^ hashed >> _13) * _MIX
    return hashed ^ hashed >> _15


def _aligned(rows: Bytes, lengths: NDArray[np.int64]) -> Bytes:
    """What is told of each row from its beginning on, and zeros behind it, up to a whole word and one more."""
    width = (int(lengths.max(initial=0)) >> 2) + 1 << 2
    aligned = np.zeros((len(rows), width), np.uint8)
    aligned[np.arange(width, dtype=np.int32) < lengths.astype(np.int32)[:, None]] = rows[rows != FILL]
    return aligned
