# SPDX-License-Identifier: MIT
"""The partition of a key, as Kafka's Java client and kafka-python choose it.

A producer with the default partitioner leaves the choice to the library, which agrees with this.
"""
from __future__ import annotations

import random
from typing import Optional, Sequence, Union

_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: Union[bytes, bytearray, memoryview]) -> int:
    """The 32 bits of MurmurHash2 with the seed of Kafka."""
    size = len(data)
    whole = size - size % 4
    value = 0x9747B28C ^ size
    for place in range(0, whole, 4):
        word = int.from_bytes(data[place : place + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        value = (value * _MULTIPLIER & _MASK) ^ word
    if whole < size:
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    value = (value ^ value >> 13) * _MULTIPLIER & _MASK
    return value ^ value >> 15


class DefaultPartitioner:
    """By the hash of the key; without a key any of the available partitions."""

    @classmethod
    def __call__(
        cls, key: Optional[bytes], all_partitions: Sequence[int], available: Sequence[int]
    ) -> int:
        if key is None:
            return random.choice(available or all_partitions)
        return all_partitions[(murmur2(key) & 0x7FFFFFFF) % len(all_partitions)]
