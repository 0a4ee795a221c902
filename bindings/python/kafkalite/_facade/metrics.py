# SPDX-License-Identifier: MIT
"""Numbers under kafka-python's names. Rates are since the client was made; what only a network has is 0."""
from __future__ import annotations

import time
from typing import Any, Dict, Mapping

Told = Dict[str, Dict[str, float]]

_NETWORK = (
    "connection-close-rate",
    "connection-creation-rate",
    "connection-count",
    "select-rate",
    "io-wait-time-ns-avg",
    "io-wait-ratio",
    "io-time-ns-avg",
    "io-ratio",
    "network-io-rate",
    "outgoing-byte-rate",
    "incoming-byte-rate",
    "request-rate",
    "request-size-avg",
    "request-size-max",
    "request-latency-avg",
    "request-latency-max",
    "response-rate",
)
_PRODUCER = (
    "bufferpool-wait-ratio",
    "batch-size-avg",
    "batch-size-max",
    "compression-rate-avg",
    "record-queue-time-avg",
    "record-queue-time-max",
    "produce-throttle-time-avg",
    "produce-throttle-time-max",
    "records-per-request-avg",
    "record-retry-rate",
    "requests-in-flight",
    "metadata-age",
)
_FETCH = (
    "fetch-latency-avg",
    "fetch-latency-max",
    "fetch-throttle-time-avg",
    "fetch-throttle-time-max",
)
_COORDINATOR = (
    "heartbeat-response-time-max",
    "heartbeat-rate",
    "last-heartbeat-seconds-ago",
    "join-time-avg",
    "join-time-max",
    "join-rate",
    "sync-time-avg",
    "sync-time-max",
    "sync-rate",
    "commit-latency-avg",
    "commit-latency-max",
    "commit-rate",
)


def _zeros(*names: str) -> Dict[str, float]:
    return dict.fromkeys(names, 0.0)


def _counted(groups: Told) -> Told:
    count = sum(map(len, groups.values())) + 1
    return {"kafka-metrics-count": {"count": float(count)}, **groups}


class Produced:
    """What a producer has sent."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self.records = self.bytes = self.errors = self.largest = 0

    def count(self, size: int) -> None:
        self.records += 1
        self.bytes += size
        if size > self.largest:
            self.largest = size

    def told(self) -> Told:
        seconds = max(time.monotonic() - self._since, 1e-3)
        return _counted(
            {
                "producer-metrics": {
                    **_zeros(*_NETWORK, *_PRODUCER),
                    "record-send-total": self.records,
                    "record-send-rate": self.records / seconds,
                    "byte-total": self.bytes,
                    "byte-rate": self.bytes / seconds,
                    "outgoing-byte-rate": self.bytes / seconds,
                    "record-error-total": self.errors,
                    "record-error-rate": self.errors / seconds,
                    "record-size-avg": self.bytes / max(self.records, 1),
                    "record-size-max": self.largest,
                }
            }
        )


class Consumed:
    """What a consumer has handed out."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._records = self._bytes = self._fetches = self._largest = 0

    def count(self, batch: Any, records: int) -> None:
        """The first so many records of a batch."""
        keys, values = batch.sizes()
        size = sum(keys[:records]) + sum(values[:records])
        if -1 in keys or -1 in values:
            size += keys[:records].count(-1) + values[:records].count(-1)
        self._records += records
        self._bytes += size
        self._fetches += 1
        self._largest = max(self._largest, size)

    def told(self, lags: Mapping[Any, int]) -> Told:
        """lags: how far each assigned partition is behind the end."""
        seconds = max(time.monotonic() - self._since, 1e-3)
        fetches = max(self._fetches, 1)
        groups: Told = {
            "consumer-metrics": _zeros(*_NETWORK),
            "consumer-fetch-manager-metrics": {
                **_zeros(*_FETCH),
                "fetch-total": self._fetches,
                "fetch-rate": self._fetches / seconds,
                "fetch-size-avg": self._bytes / fetches,
                "fetch-size-max": self._largest,
                "bytes-consumed-total": self._bytes,
                "bytes-consumed-rate": self._bytes / seconds,
                "records-consumed-total": self._records,
                "records-consumed-rate": self._records / seconds,
                "records-per-request-avg": self._records / fetches,
                "records-lag-max": max(lags.values(), default=0),
            },
            "consumer-coordinator-metrics": {
                **_zeros(*_COORDINATOR),
                "assigned-partitions": float(len(lags)),
            },
        }
        for place, lag in lags.items():
            groups[f"consumer-fetch-manager-metrics.{place.topic}-{place.partition}"] = {
                "records-lag": lag
            }
        return _counted(groups)
