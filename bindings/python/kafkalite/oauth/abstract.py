# SPDX-License-Identifier: MIT
"""The class that programs derive their token providers from. A store has no users: no client takes one."""
from __future__ import annotations

from typing import Any, Dict


class AbstractTokenProvider:
    """Answers tokens, if it is asked."""

    def __init__(self, **config: Any) -> None:
        pass

    def token(self) -> str:
        raise NotImplementedError

    def extensions(self) -> Dict[str, str]:
        return {}
