# SPDX-License-Identifier: MIT
"""kafka-python's consumer over a store."""
from .group import KafkaConsumer

__all__ = ["KafkaConsumer"]
