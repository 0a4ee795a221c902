# SPDX-License-Identifier: MIT
"""Where kafka-python 2.0 has AbstractTokenProvider."""
from .abstract import AbstractTokenProvider

__all__ = ["AbstractTokenProvider"]
