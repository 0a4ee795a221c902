# SPDX-License-Identifier: MIT
"""asyncio over a store, under aiokafka's names.

    async with open("./data") as log:
        async with log.producer() as producer:
            await producer.send_and_wait("orders", b"2 books", key=b"o-1")
        async with log.consumer("orders", group="billing") as consumer:
            async for record in consumer:
                await consumer.commit(record)

A consumer waits for a descriptor that the loop watches, and reads in the loop's thread, which never waits for long.
What may wait for a disk runs in a thread that belongs to the client, one call after the other. A wait that is
cancelled loses nothing.
"""
from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Optional, Set, TypeVar, Union

from ._native.store import PathLike, Store, open as _open
from .consumer.fetcher import ConsumerRecord
from .consumer.group import KafkaConsumer
from .errors import ClosedError
from .producer.future import FutureRecordMetadata, RecordMetadata
from .producer.kafka import KafkaProducer
from .structs import OffsetAndMetadata, TopicPartition

# As aiokafka it has aiokafka.errors and aiokafka.structs: see _install.
__path__: List[str] = []

T = TypeVar("T")
Polled = Dict[TopicPartition, List[ConsumerRecord]]
# A consumer polls this often, whatever its descriptor says: it has commits to make, and topics to look for.
TURN_S = 0.2


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
        left: List[bool] = []

        def send() -> FutureRecordMetadata:
            self._producer._native.unwanted = lambda: bool(left)
            future: FutureRecordMetadata = self._producer.send(
                topic, value, key, chosen, partition, timestamp_ms
            )
            return future

        try:
            future = await self._run(send)
        except asyncio.CancelledError:
            left.append(True)  # else it would wait for room for as long as max_block_ms
            raise
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
        self._waiting: List[ConsumerRecord] = []
        # Held by whoever uses the consumer: calls in the thread, and polls in the loop.
        self._turn: Any = None
        self._readers: Set["asyncio.Future[None]"] = set()
        self._watched: Optional[int] = None

    async def start(self) -> None:
        self._begin()
        if self._consumer is None:
            self._turn = asyncio.Lock()
            self._consumer = await self._run(lambda: KafkaConsumer(*self._topics, **self._configs))

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        if self._thread is None:
            raise ClosedError("not started, or stopped: await start() first")
        await self._turn.acquire()
        running = asyncio.ensure_future(super()._run(call, *arguments))
        running.add_done_callback(self._ended)
        # Who is cancelled here does not stop the call, and what comes next waits behind it.
        return await asyncio.shield(running)

    def _ended(self, running: "asyncio.Future[Any]") -> None:
        self._turn.release()
        if not running.cancelled():
            running.exception()  # told, even if nobody waits any more

    def _close(self) -> None:
        self._consumer.close()

    async def stop(self) -> None:
        """Commit, if commits are automatic, leave the group and close. Who waits for a record gets ClosedError."""
        if self._thread is not None and self._consumer is not None:
            await self._give_back()
            self._unwatch()
            self._wake()
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
        others = [p for p in await self._run(self._consumer._assigned) if p not in partitions]
        quiet = [p for p in others if p not in self._consumer.paused()]
        await self._run(self._consumer.pause, *quiet)
        try:
            return await self._poll(timeout_ms, max_records)
        finally:
            await self._run(self._consumer.resume, *quiet)

    async def _poll(self, timeout_ms: Optional[float], max_records: Optional[int] = None) -> Polled:
        loop = asyncio.get_running_loop()
        deadline = None if timeout_ms is None else loop.time() + timeout_ms / 1000
        while True:
            if self._thread is None or self._consumer is None:
                raise ClosedError("not started, or stopped: await start() first")
            async with self._turn:
                polled: Polled = self._consumer.poll(0, max_records)
            if polled:
                return polled
            left = TURN_S if deadline is None else deadline - loop.time()
            if left <= 0:
                await asyncio.sleep(0)  # who asks again and again lets others go on
                return {}
            await self._readable(min(left, TURN_S))

    async def _readable(self, seconds: float) -> None:
        """Until a poll may bring something, or the time is up."""
        if self._consumer.bootstrap_connected() and self._watched is None:
            self._watched = self._consumer._native.fileno()
            asyncio.get_running_loop().add_reader(self._watched, self._wake)
        reader: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._readers.add(reader)
        try:
            await asyncio.wait((reader,), timeout=seconds)
        finally:
            self._readers.discard(reader)
            reader.cancel()
            if not self._readers:
                self._unwatch()

    def _wake(self) -> None:
        for reader in self._readers:
            if not reader.done():
                reader.set_result(None)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    async def _give_back(self) -> None:
        """Records that nobody has taken are read again."""
        if not self._waiting:
            return
        async with self._turn:
            first: Dict[TopicPartition, int] = {}
            for record in self._waiting:
                first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
            self._waiting = []
            self._seek_back(first)

    def _seek_back(self, first: Dict[TopicPartition, int]) -> None:
        assigned = self._consumer._assigned()
        for place, offset in first.items():
            if place in assigned:
                self._consumer.seek(place, offset)

    # The rest is KafkaConsumer's, after what is read ahead was given back. ----------------------

    async def _call(self, name: str, *arguments: Any) -> Any:
        await self._give_back()
        return await self._run(getattr(self._consumer, name), *arguments)

    async def commit(self, what: Union[None, ConsumerRecord, Dict[TopicPartition, Any]] = None) -> None:
        """What was handed out so far; everything up to and with a record; or these offsets."""
        if isinstance(what, ConsumerRecord):
            what = {TopicPartition(what.topic, what.partition): what.offset + 1}
        await self._call("commit", what)

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

    def highwater(self, partition: TopicPartition) -> Optional[int]:
        """Where the log ends; None before the first records of it came."""
        end: Optional[int] = self._consumer.highwater(partition)
        return end

    def partitions_for_topic(self, topic: str) -> Optional[Set[int]]:
        numbers: Optional[Set[int]] = self._consumer.partitions_for_topic(topic)
        return numbers

    def paused(self) -> Set[TopicPartition]:
        return set(self._consumer.paused())

    def unsubscribe(self) -> None:
        self._consumer.unsubscribe()

    def subscribe(self, topics: Any = (), pattern: Any = None, listener: Any = None) -> None:
        self._consumer.subscribe(topics, pattern, listener)

    def assign(self, partitions: List[TopicPartition]) -> None:
        self._consumer.assign(partitions)

    def pause(self, *partitions: TopicPartition) -> None:
        self._consumer.pause(*partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self._consumer.resume(*partitions)


class Log:
    """A store for `async with`: producers and consumers of it, with the options of the drop-in."""

    def __init__(self, path: PathLike, properties: Dict[str, Any]) -> None:
        self.path = os.fspath(path)
        self._properties = properties
        self._store: Optional[Store] = None

    async def __aenter__(self) -> "Log":
        loop = asyncio.get_running_loop()
        self._store = await loop.run_in_executor(
            None, lambda: _open(self.path, **self._properties)
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._store is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._store.close)

    @property
    def store(self) -> Store:
        """All that does not wait: topics, groups, statistics."""
        if self._store is None:
            raise ClosedError("not open: async with it")
        return self._store

    def producer(self, **configs: Any) -> AIOKafkaProducer:
        return AIOKafkaProducer(bootstrap_servers="file:" + self.store.path, **configs)

    def consumer(
        self, *topics: str, group: Optional[str] = None, start: Optional[str] = None, **configs: Any
    ) -> AIOKafkaConsumer:
        """start: "earliest" or "latest", where nothing is committed; by default the first without a
        group, and the second in one. Only commit() commits, unless enable_auto_commit is given."""
        options: Dict[str, Any] = {
            "bootstrap_servers": "file:" + self.store.path,
            "group_id": group,
            "auto_offset_reset": start or ("earliest" if group is None else "latest"),
            "enable_auto_commit": False,
            **configs,
        }
        return AIOKafkaConsumer(*topics, **options)


def open(path: PathLike, **properties: Any) -> Log:
    """`async with open("./data") as log`: opened, and closed at the end, without the loop waiting."""
    return Log(path, properties)


__all__ = ["AIOKafkaConsumer", "AIOKafkaProducer", "Log", "OffsetAndMetadata", "TopicPartition"]
