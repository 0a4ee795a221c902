# SPDX-License-Identifier: MIT
"""Which codecs a producer may ask for: all of Kafka's. What is stored is lz4 or zstd."""
from __future__ import annotations


def has_gzip() -> bool:
    return True


def has_snappy() -> bool:
    return True


def has_lz4() -> bool:
    return True


def has_zstd() -> bool:
    return True
