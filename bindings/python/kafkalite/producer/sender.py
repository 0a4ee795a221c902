# SPDX-License-Identifier: MIT
"""The thread that sends what a producer has gathered.

A producer that lingers, compresses, or wants each record durable gathers records here, and the
thread sends all that are there by one call a topic. While it waits for the disk the next ones
gather, so that many records share a sync. The thread holds no reference to its producer.
"""
from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .._native import handles
from .._native.producer import PENDING, Producer
from ..errors import ClosedError, ForkedError, KafkaError, KafkaTimeoutError
from ..structs import TopicPartition
from .future import FutureRecordMetadata, make_metadata

log = logging.getLogger("kafkalite")

# A producer that is collected only leaves a mark, so its thread looks for it this often.
LOOK_S = 0.5


class Entry(NamedTuple):
    """A record on its way."""

    key: Optional[bytes]
    value: Optional[bytes]
    headers: Any
    partition: int
    timestamp: int
    sizes: Tuple[int, int, int]  # serialized: key, value, headers; -1 for what is missing
    future: FutureRecordMetadata


def entry_size(entry: Entry) -> int:
    return 70 + sum(size for size in entry.sizes if size > 0)


class Sender:
    close_rank = 0

    def __init__(
        self,
        producer: Producer,
        ensure_topic: Callable[[str], None],
        linger_s: float,
        batch_size: int,
        buffer_memory: int,
    ) -> None:
        self._producer = producer
        self._ensure_topic = ensure_topic
        self._linger = linger_s
        self._batch_size = batch_size
        self._buffer_memory = buffer_memory
        self._process = os.getpid()
        self._changed = threading.Condition()
        # Guarded by _changed.
        self._waiting: Dict[str, List[Entry]] = {}
        self._oldest = 0.0
        self._bytes = 0
        self._added = 0
        self._finished = 0
        self._pressed = 0
        self._closing = False
        self._at_the_end: Optional[Callable[[], None]] = None
        handles.opened(self)
        self._thread = threading.Thread(
            target=self._run, name="kafkalite-producer", daemon=True
        )
        self._thread.start()

    def is_me(self) -> bool:
        return threading.current_thread() is self._thread

    def add(self, topic: str, entry: Entry, max_block_s: float) -> None:
        """Take a record; waits while buffer_memory is full."""
        if os.getpid() != self._process:
            raise ForkedError("the producer is from before fork(): make a new one in the child")
        size = entry_size(entry)
        with self._changed:
            if not self._roomy(size) and not self.is_me():
                self._wait_for_room(size, max_block_s)
            if self._closing:
                raise ClosedError("the producer is closed")
            if not self._waiting:
                self._oldest = time.monotonic()
            self._waiting.setdefault(topic, []).append(entry)
            self._bytes += size
            self._added += 1
            self._changed.notify_all()

    def _roomy(self, size: int) -> bool:
        return not self._bytes or self._bytes + size <= self._buffer_memory

    def _wait_for_room(self, size: int, max_block_s: float) -> None:
        self._pressed += 1  # what lingers has to go now
        self._changed.notify_all()
        try:
            roomy = self._changed.wait_for(
                lambda: self._closing or self._roomy(size), max_block_s
            )
        finally:
            self._pressed -= 1
        if not roomy:
            raise KafkaTimeoutError(
                f"buffer_memory ({self._buffer_memory} bytes) stayed full for {max_block_s} secs."
            )

    def flush(self, timeout: Optional[float]) -> None:
        """Until all that was taken before is stored, or has failed."""
        if self.is_me():
            return  # a callback: what it waits for is done by this very thread
        with self._changed:
            until = self._added
            self._pressed += 1
            self._changed.notify_all()
            try:
                done = self._changed.wait_for(lambda: self._finished >= until, timeout)
            finally:
                self._pressed -= 1
        if not done:
            raise KafkaTimeoutError(f"Failed to flush buffered records within {timeout} secs.")

    def close(self, timeout: Optional[float]) -> None:
        """Send the rest; what does not make it in time fails with KafkaTimeoutError."""
        if os.getpid() != self._process:
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self.is_me():
            self._send_taken(self._take())  # a callback closes: nobody else sends the rest
        elif timeout != 0:
            self._thread.join(timeout)
        for entry in [entry for entries in self._take().values() for entry in entries]:
            late = KafkaTimeoutError("the producer was closed before it was sent")
            self._settle(entry.future.failure, late)

    def abandon(self, close: Callable[[], None]) -> None:
        """Send the rest, then close, with nobody waiting: the producer was collected.

        A collection may come at any moment, even while a thread holds the lock of a future, so
        nothing is waited for here.
        """
        self._at_the_end = close
        self._closing = True

    def close_at_exit(self) -> None:
        self.close(None)

    def _take(self) -> Dict[str, List[Entry]]:
        with self._changed:
            taken, self._waiting = self._waiting, {}
        return taken

    def _due(self) -> Optional[float]:
        """Seconds until what waits is to be sent; None when nothing waits."""
        if not self._waiting:
            return None
        full = self._bytes >= min(self._batch_size, self._buffer_memory)
        if self._closing or self._pressed or full or not self._linger:
            return 0
        return max(0.0, self._oldest + self._linger - time.monotonic())

    def _run(self) -> None:
        while self._wait_until_due():
            self._send_taken(self._take())
        if self._at_the_end is not None:
            self._at_the_end()

    def _wait_until_due(self) -> bool:
        """False when all is sent and the producer is closed."""
        with self._changed:
            while True:
                due = self._due()
                if due == 0:
                    return True
                if due is None and self._closing:
                    return False
                # A collected producer wakes nobody: look now and then.
                self._changed.wait(LOOK_S if due is None else min(due, LOOK_S))

    def _send_taken(self, taken: Dict[str, List[Entry]]) -> None:
        for topic, entries in taken.items():
            try:
                self._send(topic, entries)
            except BaseException as error:  # no record may be left without an outcome
                log.exception("a batch could not be sent")
                for entry in entries:
                    if not entry.future.is_done:
                        self._settle(entry.future.failure, error)
            with self._changed:
                self._bytes -= sum(map(entry_size, entries))
                self._finished += len(entries)
                self._changed.notify_all()

    def _send(self, topic: str, entries: List[Entry]) -> None:
        """All by one call; if that is refused, each by its own, so that only the bad ones fail."""
        try:
            self._ensure_topic(topic)
            sent = self._producer.send_entries(topic, entries)
        except KafkaError as error:
            for entry in entries:
                self._send_alone(topic, entry, error if len(entries) == 1 else None)
            return
        for entry, (partition, offset) in zip(entries, sent):
            if offset == PENDING:
                self._send_alone(topic, entry, None)
            else:
                self._tell(topic, entry, partition, offset)

    def _send_alone(self, topic: str, entry: Entry, error: Optional[KafkaError]) -> None:
        if error is None:
            try:
                partition, offset = self._producer.send_entries(topic, [entry])[0]
                self._tell(topic, entry, partition, offset)
                return
            except KafkaError as found:
                error = found
        self._settle(entry.future.failure, error)

    @staticmethod
    def _settle(complete: Callable[[Any], Any], outcome: Any) -> None:
        """What a callback raises, if only SystemExit, is no outcome of the records that come after."""
        try:
            complete(outcome)
        except BaseException:
            log.exception("a callback of a future ended with an error")

    def _tell(self, topic: str, entry: Entry, partition: int, offset: int) -> None:
        place = TopicPartition(topic, partition)
        self._settle(
            entry.future.success,
            make_metadata(
                (topic, partition, place, offset, entry.timestamp, -1, None, *entry.sizes)
            ),
        )
