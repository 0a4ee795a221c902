# SPDX-License-Identifier: MIT
"""Partitioners, under kafka-python's names."""
from .default import DefaultPartitioner, murmur2

__all__ = ["DefaultPartitioner", "murmur2"]
