# SPDX-License-Identifier: MIT
"""A topic as a table: the newest value of each key."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, MutableMapping, Optional

from .._errors.store import ClosedError
from .consumer import Consumer
from .producer import Producer
from .records import Record
from .topic import Topic

Change = Callable[[bytes, Optional[bytes]], None]


class Table(MutableMapping[bytes, bytes]):
    """The newest value of each key of a topic, as of the moment of each look.

    It is read from the beginning once and followed from then on, in memory; a compacted topic
    (cleanup.policy=compact) keeps that short. Setting a key sends a record, deleting it one without
    a value, as any other producer does: every table of the topic in every process sees it.
    """

    def __init__(
        self, store: Any, name: str, on_change: Optional[Change] = None, **properties: Any
    ) -> None:
        self._store = store
        self._topic: Topic = store.topic(name)
        self._consumer: Consumer = store.consumer(**properties)
        self._producer: Optional[Producer] = None
        self._partitions = 0
        self._newest: Dict[bytes, Record] = {}
        self.on_change = on_change
        self.refresh()

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """It follows its topic no more. A second call does nothing."""
        self._consumer.close()
        if self._producer is not None:
            self._producer.close()

    def refresh(self) -> int:
        """Take what has been appended since; answers how many records that were.

        Each look does this first; who only wants on_change to be called calls it.
        """
        if self._consumer.closed:
            raise ClosedError("the table is closed")
        self._follow()
        count = 0
        while True:
            batch = self._consumer.poll(0)
            if batch is None:
                return count
            count += len(batch)
            for record in batch:
                if record.key is not None:
                    self._take(record)

    def _follow(self) -> None:
        """New partitions are read from their beginning; a topic that is gone raises."""
        count = self._topic.partitions
        if count != self._partitions:
            places = [(self._topic.name, number) for number in range(count)]
            at = self._consumer.assignment()
            self._consumer.assign({p: at.get(p, "earliest") for p in places})  # type: ignore[call-overload]
            self._partitions = count

    def _take(self, record: Record) -> None:
        if record.value is None:
            self._newest.pop(record.key, None)
        else:
            self._newest[record.key] = record
        if self.on_change is not None:
            self.on_change(record.key, record.value)

    def record(self, key: bytes) -> Record:
        """The newest record of a key, with its offset, time and headers. KeyError."""
        self.refresh()
        return self._newest[key]

    def __getitem__(self, key: bytes) -> bytes:
        value: bytes = self.record(key).value
        return value

    def __iter__(self) -> Iterator[bytes]:
        self.refresh()
        return iter(list(self._newest))

    def __len__(self) -> int:
        self.refresh()
        return len(self._newest)

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._send(key, value)

    def __delitem__(self, key: bytes) -> None:
        self.record(key)
        self._send(key, None)

    def _send(self, key: bytes, value: Optional[bytes]) -> None:
        if self._producer is None:
            self._producer = self._store.producer()
        self._producer.send(self._topic.name, value, key=key)

    def __repr__(self) -> str:
        return f"<Table {self._topic.name!r}>"
