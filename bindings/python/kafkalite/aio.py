# SPDX-License-Identifier: MIT
"""asyncio over a store, under aiokafka's names.

    async with AIOKafkaProducer(bootstrap_servers="file:./data") as producer:
        await producer.send_and_wait("orders", b"2 books", key=b"o-1")
    async with AIOKafkaConsumer("orders", bootstrap_servers="file:./data", group_id="billing") as consumer:
        async for message in consumer:
            await consumer.commit()

What waits does so in a thread that belongs to the client, one call after the other, so that the
loop goes on. A poll whose waiter was cancelled is not lost: the next one takes what it brought.
"""
from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Optional, Set, TypeVar

from .consumer.fetcher import ConsumerRecord
from .consumer.group import KafkaConsumer
from .errors import ClosedError
from .producer.future import RecordMetadata
from .producer.kafka import KafkaProducer
from .structs import OffsetAndMetadata, TopicPartition

T = TypeVar("T")
Polled = Dict[TopicPartition, List[ConsumerRecord]]
# How long a poll waits in its thread before it looks whether anybody still wants it.
TURN_MS = 200


class _Client:
    """A client of the drop-in, and the thread in which its calls run in turn."""

    def __init__(self) -> None:
        self._thread: Optional[ThreadPoolExecutor] = None

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "kafkalite-aio")

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        if self._thread is None:
            raise ClosedError("not started, or stopped: await start() first")
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    async def _end(self, close: Callable[[], None]) -> None:
        if self._thread is not None:
            try:
                await self._run(close)
            finally:
                self._thread.shutdown(wait=False)
                self._thread = None


class AIOKafkaProducer(_Client):
    """KafkaProducer, to be awaited. Options are those of KafkaProducer."""

    def __init__(self, **configs: Any) -> None:
        super().__init__()
        configs.pop("loop", None)
        self._configs = configs
        self._producer: Any = None

    async def start(self) -> None:
        self._begin()
        if self._producer is None:
            self._producer = await self._run(lambda: KafkaProducer(**self._configs))

    def _close(self) -> None:
        self._producer.close()

    async def stop(self) -> None:
        """Flush and close. A second call does nothing."""
        await self._end(self._close)

    async def __aenter__(self) -> "AIOKafkaProducer":
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def send(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: Optional[int] = None,
        timestamp_ms: Optional[int] = None,
        headers: Any = None,
    ) -> "asyncio.Future[RecordMetadata]":
        """A future of where the record went."""
        told: "asyncio.Future[RecordMetadata]" = asyncio.ensure_future(
            self.send_and_wait(topic, value, key, partition, timestamp_ms, headers)
        )
        await asyncio.sleep(0)
        return told

    async def send_and_wait(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: Optional[int] = None,
        timestamp_ms: Optional[int] = None,
        headers: Any = None,
    ) -> RecordMetadata:
        """Where the record went, once it is as safe as acks says."""
        chosen = list(headers) if headers is not None else None
        future = await self._run(
            self._producer.send, topic, value, key, chosen, partition, timestamp_ms
        )
        metadata: RecordMetadata = await future
        return metadata

    async def flush(self) -> None:
        await self._run(self._producer.flush)

    async def partitions_for(self, topic: str) -> Set[int]:
        numbers: Set[int] = await self._run(self._producer.partitions_for, topic)
        return numbers


class AIOKafkaConsumer(_Client):
    """KafkaConsumer, to be awaited. Options are those of KafkaConsumer."""

    def __init__(self, *topics: str, **configs: Any) -> None:
        super().__init__()
        configs.pop("loop", None)
        self._topics, self._configs = topics, configs
        self._consumer: Any = None
        self._polling: Optional["asyncio.Future[Polled]"] = None
        self._waiting: List[ConsumerRecord] = []

    async def start(self) -> None:
        self._begin()
        if self._consumer is None:
            self._consumer = await self._run(lambda: KafkaConsumer(*self._topics, **self._configs))

    def _close(self) -> None:
        self._consumer.close()

    async def stop(self) -> None:
        """Commit, if commits are automatic, leave the group and close."""
        if self._thread is not None:
            await self._give_back()
        await self._end(self._close)

    async def __aenter__(self) -> "AIOKafkaConsumer":
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    def __aiter__(self) -> "AIOKafkaConsumer":
        return self

    async def __anext__(self) -> ConsumerRecord:
        try:
            return await self.getone()
        except ClosedError:
            raise StopAsyncIteration from None

    async def getone(self) -> ConsumerRecord:
        """The next record, whenever it comes."""
        while not self._waiting:
            polled = await self._poll(None)
            self._waiting = [record for records in polled.values() for record in records]
        return self._waiting.pop(0)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: float = 0, max_records: Optional[int] = None
    ) -> Polled:
        """{partition: records} as soon as there is one; {} when the time is up. Of partitions, if
        any are named, alone: what comes of others meanwhile is not read."""
        await self._give_back()
        if not partitions:
            return await self._poll(timeout_ms, max_records)
        others = [p for p in await self._run(self._consumer.assignment) if p not in partitions]
        quiet = [p for p in others if p not in self._consumer.paused()]
        await self._run(self._consumer.pause, *quiet)
        try:
            return await self._poll(timeout_ms, max_records)
        finally:
            await self._run(self._consumer.resume, *quiet)

    async def _poll(self, timeout_ms: Optional[float], max_records: Optional[int] = None) -> Polled:
        if self._thread is None:
            raise ClosedError("not started, or stopped: await start() first")
        loop = asyncio.get_running_loop()
        deadline = None if timeout_ms is None else loop.time() + timeout_ms / 1000
        while True:
            left = TURN_MS if deadline is None else max(0.0, (deadline - loop.time()) * 1000)
            if self._polling is None:
                self._polling = asyncio.ensure_future(
                    self._run(self._consumer.poll, min(left, TURN_MS), max_records)
                )
            polled = await self._polled()
            if polled or (deadline is not None and loop.time() >= deadline):
                return polled

    async def _polled(self) -> Polled:
        """What the poll under way brings; whoever is cancelled here leaves it to the next one."""
        assert self._polling is not None
        try:
            polled = await asyncio.shield(self._polling)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._polling = None
            raise
        self._polling = None
        return polled

    async def _give_back(self) -> None:
        """Records that nobody has taken are read again."""
        if self._polling is not None:
            polled = await self._polled()
            self._waiting += [record for records in polled.values() for record in records]
        first: Dict[TopicPartition, int] = {}
        for record in self._waiting:
            first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        self._waiting = []
        if first:
            # Whoever is cancelled here does not stop it, and what comes next waits behind it.
            await asyncio.shield(self._run(self._seek_back, first))

    def _seek_back(self, first: Dict[TopicPartition, int]) -> None:
        assigned = self._consumer.assignment()
        for place, offset in first.items():
            if place in assigned:
                self._consumer.seek(place, offset)

    # The rest is KafkaConsumer's, after what is read ahead was given back. ----------------------

    async def _call(self, name: str, *arguments: Any) -> Any:
        await self._give_back()
        return await self._run(getattr(self._consumer, name), *arguments)

    async def commit(self, offsets: Optional[Dict[TopicPartition, Any]] = None) -> None:
        """What was handed out so far, or these."""
        await self._call("commit", offsets)

    async def committed(self, partition: TopicPartition) -> Optional[int]:
        offset: Optional[int] = await self._call("committed", partition)
        return offset

    async def position(self, partition: TopicPartition) -> int:
        return int(await self._call("position", partition))

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        await self._call("seek", partition, offset)

    async def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        await self._call("seek_to_beginning", *partitions)

    async def seek_to_end(self, *partitions: TopicPartition) -> None:
        await self._call("seek_to_end", *partitions)

    async def beginning_offsets(self, partitions: List[TopicPartition]) -> Dict[TopicPartition, int]:
        return dict(await self._call("beginning_offsets", partitions))

    async def end_offsets(self, partitions: List[TopicPartition]) -> Dict[TopicPartition, int]:
        return dict(await self._call("end_offsets", partitions))

    async def offsets_for_times(self, timestamps: Dict[TopicPartition, int]) -> Dict[Any, Any]:
        return dict(await self._call("offsets_for_times", timestamps))

    async def topics(self) -> Set[str]:
        return set(await self._call("topics"))

    def assignment(self) -> Set[TopicPartition]:
        return set(self._consumer._assigned())

    def subscription(self) -> Optional[Set[str]]:
        names: Optional[Set[str]] = self._consumer.subscription()
        return names

    def subscribe(self, topics: Any = (), pattern: Any = None, listener: Any = None) -> None:
        self._consumer.subscribe(topics, pattern, listener)

    def assign(self, partitions: List[TopicPartition]) -> None:
        self._consumer.assign(partitions)

    def pause(self, *partitions: TopicPartition) -> None:
        self._consumer.pause(*partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self._consumer.resume(*partitions)


__all__ = ["AIOKafkaConsumer", "AIOKafkaProducer", "OffsetAndMetadata", "TopicPartition"]
