# SPDX-License-Identifier: MIT
"""kafka-python's producer over a store."""
from .kafka import KafkaProducer

__all__ = ["KafkaProducer"]
