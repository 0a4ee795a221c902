# SPDX-License-Identifier: MIT
"""Serializers and deserializers, under kafka-python's names."""
from .abstract import Deserializer, Serializer

__all__ = ["Deserializer", "Serializer"]
