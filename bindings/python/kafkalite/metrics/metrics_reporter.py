# SPDX-License-Identifier: MIT
"""What metric_reporters are; the option has no effect: metrics() of the clients answers when it is called."""
from __future__ import annotations

from typing import Any, List


class AbstractMetricsReporter:
    """Would be told of metrics that come and go."""

    def init(self, metrics: List[Any]) -> None:
        raise NotImplementedError

    def metric_change(self, metric: Any) -> None:
        raise NotImplementedError

    def metric_removal(self, metric: Any) -> None:
        raise NotImplementedError

    def configure(self, configs: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
