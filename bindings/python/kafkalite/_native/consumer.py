# SPDX-License-Identifier: MIT
"""Reading: assigned partitions or a place in a group; polls, iteration, positions, commits."""
from __future__ import annotations

import re
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Union

from .. import _ffi
from .._errors.broker import CorruptRecordError
from .._errors.store import ArgumentValueError, ClosedError
from ..structs import OffsetAndMetadata, TopicPartition
from . import events, handles, times, waiting
from .events import Event
from .group import commits_of, committed_of, place_of, places_of
from .records import Batch, Record
from .topic import Topic, encoded

What = Union[None, Record, Batch, Mapping[Any, Any]]
Listener = Callable[[List[TopicPartition]], None]
Committed = Callable[[Dict[TopicPartition, Any], Optional[BaseException]], None]


class Consumer:
    """Hands out records. Any thread may use it; polls of one consumer take turns."""

    close_rank = 1

    def __init__(
        self,
        store: Any,
        handle: _ffi.Handle,
        config: Mapping[str, Any],
        timeout: Optional[float] = None,
        stop_at_end: bool = False,
        zero_copy: bool = False,
    ) -> None:
        self._store = store
        self._handle: Optional[_ffi.Handle] = handle
        self._closing = False
        self._timeout = timeout
        self._stop_at_end = stop_at_end
        self._zero_copy = zero_copy
        self._auto_commit = str(config.get("enable.auto.commit", "")).lower() in ("true", "1")
        self.waits_for_group = False
        # Records that iteration has read ahead, and how many of them it has handed out.
        self.ahead: Sequence[Record] = ()
        self.place = 0
        self._last: Optional[Batch] = None
        self._commits: Dict[int, Any] = {}
        self._paused: Dict[TopicPartition, None] = {}
        self.on_event: Optional[Callable[[Event], None]] = None
        self.on_assigned: Optional[Listener] = None
        self.on_revoked: Optional[Listener] = None
        self.on_lost: Optional[Listener] = None
        self.assignor: Optional[Callable[[Any], Mapping[str, Iterable[Any]]]] = None
        handles.opened(self)

    def __enter__(self) -> "Consumer":
        return self

    def __exit__(self, kind: Any, *exception: object) -> None:
        if kind is None:
            self.close()
        else:
            self.close_at_exit()

    def close_at_exit(self) -> None:
        """Close without a word that the last records are dealt with: automatic commits leave the
        last batch out, of an iteration the last record."""
        if self._auto_commit and not self.closed:
            if self.ahead:
                self.place = max(0, self.place - 1)
                self.rewind()
            elif self._last is not None:
                assigned = self.assignment()
                for place, offset in self._last.first_offsets().items():
                    if place in assigned:
                        self.seek(place, offset)
        self.close()

    @property
    def handle(self) -> _ffi.Handle:
        if self._handle is None:
            raise ClosedError("the consumer is closed")
        return self._handle

    @property
    def closed(self) -> bool:
        return self._handle is None

    def close(self) -> None:
        """Leave the group and close. Records that iteration had not handed out are not committed.

        A poll of another thread ends with ClosedError. A second call does nothing.
        """
        if self._handle is None:
            return
        self._closing = True
        try:
            if self._auto_commit:
                self.rewind()
        finally:
            self.ahead = ()
            _ffi.plain.consumer_wakeup(self._handle)
            _ffi.close(self)

    # What to read ------------------------------------------------------------------------------

    def assign(self, partitions: Any) -> None:
        """Read these and no others: partitions, or {partition: where to begin}.

        Without a place a partition goes on where it was, where its group has committed, or as
        auto.offset.reset says.
        """
        rows = []
        pairs = partitions.items() if isinstance(partitions, Mapping) else (
            (place, "committed") for place in partitions
        )
        for place, start in pairs:
            topic, number = place_of(place)
            offset = times.parse(start)
            if isinstance(offset, times.Moment):
                offset = Topic(self._store, topic).place(number, start)
            rows.append((topic, number, offset, None))
        self.ahead = ()
        _ffi.lib.consumer_assign(self.handle, _ffi.offsets_array(rows), len(rows))

    def assign_topics(
        self, topics: Iterable[str], start: times.Start = "earliest", pattern: Optional[str] = None
    ) -> None:
        """All partitions that these topics have now."""
        names = list(topics)
        if pattern is not None:
            whole = _compiled(pattern)
            names += [name for name in self._store.topic_names() if whole.fullmatch(name)]
        self.assign(
            {
                TopicPartition(name, number): start
                for name in names
                for number in range(Topic(self._store, name).partitions)
            }
        )

    def subscribe(
        self,
        topics: Sequence[str] = (),
        pattern: Optional[str] = None,
        on_assigned: Optional[Listener] = None,
        on_revoked: Optional[Listener] = None,
        on_lost: Optional[Listener] = None,
    ) -> None:
        """Be a member of the group: of topics by name, or of those whose names match a pattern.

        The listeners run in poll(). A commit in on_revoked still counts.
        """
        self.on_assigned, self.on_revoked, self.on_lost = on_assigned, on_revoked, on_lost
        self.ahead = ()
        if pattern is not None:
            _ffi.lib.consumer_subscribe_pattern(self.handle, pattern.encode())
        else:
            names = [encoded(name) for name in topics]
            _ffi.lib.consumer_subscribe(self.handle, _ffi.strings(names), len(names))
        self.waits_for_group = True

    def unsubscribe(self) -> None:
        """Leave the group, and have nothing assigned."""
        if self._auto_commit:
            self.rewind()
        self.ahead = ()
        _ffi.lib.consumer_unsubscribe(self.handle)

    def subscription(self) -> List[str]:
        """The topics that it is a member for."""
        return _ffi.names_of(
            _ffi.new(_ffi.NamesHandle, _ffi.lib.consumer_subscription, self.handle)
        )

    def member(self) -> "tuple[str, int]":
        """(member id, generation). UnknownMemberIdError before the first poll."""
        return _ffi.member_of(self.handle)

    def assignment(self) -> Dict[TopicPartition, int]:
        """What is assigned, with positions."""
        rows = _ffi.offsets_of(
            _ffi.new(_ffi.OffsetsHandle, _ffi.lib.consumer_assignment, self.handle)
        )
        positions = {TopicPartition(topic, number): offset for topic, number, offset, _ in rows}
        positions.update(self.unread())
        return positions

    # Reading -----------------------------------------------------------------------------------

    def poll(self, timeout: Optional[float] = None, max_records: int = 0) -> Optional[Batch]:
        """The next records, as soon as there is one; None when the time (seconds) is up."""
        self.rewind()
        return self.poll_ms(waiting.milliseconds(timeout), max_records)

    def poll_ms(self, timeout_ms: int, max_records: int) -> Optional[Batch]:
        """poll() in milliseconds, -1 for ever; what iteration has read ahead stays where it is."""
        handle = self.handle
        records = _ffi.RecordsHandle()
        out = _ffi.reference(records)
        deadline = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
        poll = _ffi.plain.consumer_poll
        batch: Optional[Batch] = None
        try:
            while True:
                count = waiting.until(lambda ms: poll(handle, ms, max_records, out), timeout_ms, 0)
                if count > 0:
                    batch = Batch(records, count, self, self._zero_copy)
                    if not self._zero_copy:
                        records.finish()
                    if self._auto_commit:
                        self._last = batch
                    return batch
                if count == 0:
                    return None
                if count == waiting.EVENT:
                    self._take_events(handle)
                    if deadline is not None:
                        timeout_ms = max(0, int((deadline - time.monotonic()) * 1000))
                    continue
                if count == waiting.WOKEN and self._closing:
                    raise ClosedError("the consumer was closed while it polled")
                raise _ffi.last_error(count)
        except BaseException:
            if batch is None and records.value:
                batch = Batch(records, _ffi.lib.records_count(records), self, True)
            if batch is not None:
                self.give_back(batch)
            raise

    def give_back(self, batch: Batch) -> None:
        """Nobody has seen these: a signal's handler raised an error on their way. They come again."""
        assigned = self.assignment()
        for place, offset in batch.first_offsets().items():
            if place in assigned:
                _ffi.lib.consumer_seek(self.handle, encoded(place.topic), place.partition, offset)

    def _take_events(self, handle: _ffi.Handle) -> None:
        while True:
            event = events.next_event(handle)
            if event is None:
                return
            if self.on_event is not None:
                self.on_event(event)
            elif event.kind == "hole":
                error = CorruptRecordError(event.text)
                error.topic, error.partition, error.offset = event[1:4]
                raise error
            self._take(event)

    def _take(self, event: Event) -> None:
        listener = None
        if event.kind == "assigned":
            self.waits_for_group = False
            listener = self.on_assigned
        elif event.kind == "revoked":
            listener = self.on_revoked
            self._forget_paused(event)
        elif event.kind == "lost":
            listener = self.on_lost or self.on_revoked
            self._forget_paused(event)
        elif event.kind == "committed":
            self._take_outcome(event)
        elif event.kind == "assign needed" and self.assignor is not None:
            rows = [
                (member, topic, number)
                for member, places in self.assignor(event.group).items()
                for topic, number in places
            ]
            _ffi.lib.consumer_assign_answer(
                self.handle, event.generation, _ffi.members_array(rows), len(rows)
            )
        if listener is not None:
            listener(list(event.offsets))

    def _forget_paused(self, event: Event) -> None:
        for place in event.offsets:
            self._paused.pop(place, None)

    def _take_outcome(self, event: Event) -> None:
        error = None
        if event.code < 0:
            error = _ffi.error_of(event.code, event.text)
        for ticket in [ticket for ticket in self._commits if ticket <= event.ticket]:
            offsets, callback = self._commits.pop(ticket)
            callback(offsets, error)

    def batches(self, max_records: int = 0) -> Iterator[Batch]:
        """Batch after batch, until iteration ends: see the consumer's timeout and stop_at_end."""
        self.rewind()
        while True:
            batch = self.next_batch(max_records)
            if batch is None:
                return
            yield batch

    def next_batch(self, max_records: int) -> Optional[Batch]:
        """What batches() gives next, or None at its end."""
        limit = waiting.milliseconds(self._timeout)
        if not self._stop_at_end:
            return self.poll_ms(limit, max_records)
        deadline = None if limit < 0 else time.monotonic() + limit / 1000
        while True:
            batch = self.poll_ms(100 if self.waits_for_group else 0, max_records)
            if batch is not None:
                return batch
            if not self.waits_for_group:
                return None  # not by the end offset, which may lie beyond the last record
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def __iter__(self) -> Iterator[Record]:
        """Record after record. commit() in the loop commits what was handed out, this one too."""
        while True:
            while self.place < len(self.ahead):
                record = self.ahead[self.place]
                self.place += 1
                yield record
            batch = self.next_batch(0)
            if batch is None:
                return
            try:
                self.ahead, self.place = batch.records(), 0
            except BaseException:
                self.give_back(batch)
                raise

    def unread(self) -> Dict[TopicPartition, int]:
        """The first record of each partition that iteration has read and not handed out."""
        first: Dict[TopicPartition, int] = {}
        for record in self.ahead[self.place :]:
            first.setdefault(TopicPartition(record[0], record[1]), record[2])
        return first

    def rewind(self) -> None:
        """Give back what iteration has read ahead."""
        if self.place < len(self.ahead):
            for place, offset in self.unread().items():
                _ffi.lib.consumer_seek(self.handle, encoded(place.topic), place.partition, offset)
        self.ahead, self.place = (), 0

    def fileno(self) -> int:
        """For selectors and event loops: readable when a poll may not have to wait. It may be without cause, so
        poll with a timeout of 0. The consumer's own: take it out of the selector before close()."""
        return int(_ffi.lib.consumer_event_fd(self.handle))

    def wakeup(self) -> None:
        """Make the poll that waits now, or the next one, raise WakeupError. From any thread."""
        _ffi.lib.consumer_wakeup(self.handle)

    # Positions ---------------------------------------------------------------------------------

    def seek(self, partition: Any, offset: times.Start) -> None:
        """The next poll begins there: an offset, "earliest", "latest", a time."""
        self.rewind()
        topic, number = place_of(partition)
        place = times.parse(offset)
        if place == times.STORED:
            raise ArgumentValueError("seek takes no 'committed': ask committed() for it")
        if isinstance(place, times.Moment):
            place = Topic(self._store, topic).place(number, offset)
        _ffi.lib.consumer_seek(self.handle, encoded(topic), number, place)

    def position(self, partition: Any) -> int:
        """The next offset that this consumer hands out."""
        topic, number = place_of(partition)
        ahead = self.unread() if self.ahead else {}
        if partition in ahead:
            return ahead[partition]
        return _ffi.number(_ffi.lib.consumer_position, self.handle, encoded(topic), number)

    def pause(self, *partitions: Any) -> None:
        """Hand out nothing of these until resume()."""
        self.rewind()
        for topic, number in map(place_of, partitions):
            _ffi.lib.consumer_pause(self.handle, encoded(topic), number)
            self._paused[TopicPartition(topic, number)] = None

    def resume(self, *partitions: Any) -> None:
        """Hand out what pause() held back."""
        for topic, number in map(place_of, partitions):
            _ffi.lib.consumer_resume(self.handle, encoded(topic), number)
            self._paused.pop(TopicPartition(topic, number), None)

    def paused(self) -> List[TopicPartition]:
        """It ends with the assignment."""
        assigned = self.assignment()
        self._paused = {place: None for place in self._paused if place in assigned}
        return list(self._paused)

    # Commits -----------------------------------------------------------------------------------

    def _offsets(self, what: What) -> Optional[Mapping[Any, Any]]:
        """What to commit; None: all positions, which the library knows."""
        if what is None:
            return self.assignment() if self.place < len(self.ahead) else None
        if isinstance(what, Record):
            return {TopicPartition(what.topic, what.partition): what.offset + 1}
        return what.next_offsets() if isinstance(what, Batch) else what

    def commit(self, what: What = None) -> None:
        """Commit for the group, durably: everything handed out so far, everything up to and with a
        record or a batch, or {partition: offset}."""
        offsets = self._offsets(what)
        if offsets is None:
            _ffi.lib.consumer_commit(self.handle, None)
            return
        rows = commits_of(offsets)
        _ffi.lib.consumer_commit_offsets(self.handle, _ffi.offsets_array(rows), len(rows))

    def commit_async(self, what: What = None, callback: Optional[Committed] = None) -> int:
        """The same without waiting; callback(offsets, error or None) runs in a later poll."""
        offsets = self._offsets(what)
        told = dict(self.assignment() if offsets is None else offsets)
        rows = commits_of(told)
        ticket = _ffi.number(
            _ffi.lib.consumer_commit_async, self.handle, _ffi.offsets_array(rows), len(rows)
        )
        if callback is not None:
            self._commits[ticket] = (told, callback)
        return ticket

    def wait_commits(self, timeout: float) -> None:
        """Until the outcome of each commit_async() is told, or so many seconds."""
        deadline = time.monotonic() + timeout
        while self._commits:
            event = events.next_event(self.handle)
            if event is not None:
                self._take(event)
            elif time.monotonic() >= deadline:
                return
            else:
                time.sleep(0.001)

    def committed(self, *partitions: Any) -> Dict[TopicPartition, OffsetAndMetadata]:
        """What the group has committed for these, or for all that is assigned."""
        rows = places_of(partitions or self.assignment())
        handle = _ffi.new(
            _ffi.OffsetsHandle,
            _ffi.lib.consumer_committed,
            self.handle,
            _ffi.offsets_array(rows),
            len(rows),
        )
        return committed_of(handle)


def _compiled(pattern: str) -> "re.Pattern[str]":
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ArgumentValueError(f"{pattern!r} is no pattern: {error}") from None
