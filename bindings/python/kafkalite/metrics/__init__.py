# SPDX-License-Identifier: MIT
"""The class that programs derive their reporters of metrics from."""
from .metrics_reporter import AbstractMetricsReporter

__all__ = ["AbstractMetricsReporter"]
