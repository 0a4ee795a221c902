# SPDX-License-Identifier: MIT
"""Where kafka-python 2.1 and later have AbstractTokenProvider."""
from ..oauth.abstract import AbstractTokenProvider

__all__ = ["AbstractTokenProvider"]
