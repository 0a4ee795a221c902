# SPDX-License-Identifier: MIT
"""How a consumer stands in its group, for programs that look at kafka-python's coordinator."""
from __future__ import annotations

import time
from typing import Any, NamedTuple

from ..errors import KafkaError


class MemberState:
    UNJOINED = "<unjoined>"
    REBALANCING = "<rebalancing>"
    STABLE = "<stable>"


class Generation(NamedTuple):
    generation_id: int
    member_id: str
    protocol: Any


class Heartbeat:
    """Nothing beats here: the group knows at every moment whether the process of a member lives."""

    heartbeat_failed = False
    last_reset = 0.0

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    @property
    def last_poll(self) -> float:
        """Of time.monotonic(); 0.0 before the first poll."""
        return float(self._consumer.last_poll)

    @property
    def last_send(self) -> float:
        return time.monotonic()

    last_receive = last_send


class Coordinator:
    """A view of a KafkaConsumer; it holds nothing."""

    def __init__(self, consumer: Any, native: Any) -> None:
        self._native = native
        self.group_id = consumer.config["group_id"]
        self.heartbeat = Heartbeat(consumer)

    @property
    def _generation(self) -> Generation:
        try:
            member, generation = self._native.member()
        except KafkaError:  # no member yet, or no longer
            return Generation(-1, "", None)
        return Generation(generation, member, None)

    @property
    def member_id(self) -> str:
        return self._generation.member_id

    coordinator_id = 0

    def coordinator_unknown(self) -> bool:
        return False

    def fetch_committed_offsets(self, partitions: Any) -> Any:
        """{partition: OffsetAndMetadata} of those that have one."""
        places = list(partitions)
        return self._native.committed(*places) if places else {}

    @property
    def state(self) -> str:
        if self._generation.generation_id < 0:
            return MemberState.UNJOINED
        return MemberState.REBALANCING if self.rejoining else MemberState.STABLE

    @property
    def rejoining(self) -> bool:
        """Between the first poll and its partitions."""
        return bool(self._native.waits_for_group)
