# SPDX-License-Identifier: MIT
"""Consumer groups by name: what they have committed, how far they are behind, who is in them."""
from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from .. import _ffi
from .._errors.broker import GroupIdNotFoundError, UnknownTopicOrPartitionError
from .._errors.store import ArgumentTypeError
from ..structs import OffsetAndMetadata, TopicPartition
from . import times
from .members import GroupDescription, describe
from .topic import Topic, encoded

Commit = Tuple[str, int, int, Optional[bytes]]


def place_of(partition: Any) -> Tuple[str, int]:
    """A TopicPartition, or another pair like it."""
    if not isinstance(partition, (tuple, list)) or len(partition) != 2 or not isinstance(partition[0], str):
        raise ArgumentTypeError(f"a partition is a pair of topic and number, not {partition!r}")
    return partition[0], partition[1]


def commits_of(offsets: Mapping[Any, Any]) -> List[Commit]:
    """{partition: offset or OffsetAndMetadata} as the library takes it."""
    rows: List[Commit] = []
    if not isinstance(offsets, Mapping):
        raise ArgumentTypeError(f"{{partition: offset}} is needed, not {type(offsets).__name__}")
    for place, what in offsets.items():
        topic, partition = place_of(place)
        offset, metadata = what[:2] if isinstance(what, OffsetAndMetadata) else (what, None)
        if isinstance(offset, bool) or not isinstance(offset, int):
            raise ArgumentTypeError(f"an offset is an int, not {type(offset).__name__}")
        data = metadata.encode("utf-8", "surrogateescape") if metadata else None
        rows.append((topic, partition, offset, data))
    return rows


def places_of(partitions: Iterable[Any]) -> List[Commit]:
    return [(*place_of(partition), 0, None) for partition in partitions]


def committed_of(handle: Any) -> Dict[TopicPartition, OffsetAndMetadata]:
    """What the library lists as committed; partitions without a commit are left out."""
    return {
        TopicPartition(topic, partition): OffsetAndMetadata(
            offset, (metadata or b"").decode("utf-8", "surrogateescape")
        )
        for topic, partition, offset, metadata in _ffi.offsets_of(handle)
        if offset >= 0
    }


class Group:
    """A name in a store; making one of these looks nothing up."""

    def __init__(self, store: Any, name: str) -> None:
        self._store = store
        self.name = name
        self._name = name.encode()

    def __repr__(self) -> str:
        return f"<Group {self.name!r}>"

    def committed(self) -> Dict[TopicPartition, OffsetAndMetadata]:
        """All committed offsets; empty when there are none."""
        try:
            handle = _ffi.new(
                _ffi.OffsetsHandle, _ffi.lib.group_offsets, self._store.handle, self._name
            )
        except GroupIdNotFoundError:
            return {}
        return committed_of(handle)

    def lag(self) -> Dict[TopicPartition, int]:
        """How many offsets lie between each commit and the end of its partition."""
        lags = {}
        for place, committed in self.committed().items():
            try:
                end = Topic(self._store, place.topic).end_offset(place.partition)
            except UnknownTopicOrPartitionError:  # deleted a moment ago
                continue
            lags[place] = max(0, end - committed.offset)
        return lags

    def lag_ms(self) -> Dict[TopicPartition, int]:
        """For how many milliseconds the first record behind each commit has been waiting; 0: there is none."""
        lags = {}
        for place, committed in self.committed().items():
            try:
                lags[place] = Topic(self._store, place.topic).lag(committed.offset, place.partition)[1]
            except UnknownTopicOrPartitionError:  # deleted a moment ago
                continue
        return lags

    def describe(self) -> GroupDescription:
        """State, assignor and members. GroupIdNotFoundError."""
        return describe(
            _ffi.new(
                _ffi.GroupHandle, _ffi.lib.group_describe, self._store.handle, self._name
            )
        )

    def commit(self, offsets: Mapping[Any, Any]) -> None:
        """Commit for a group without members: {TopicPartition: offset}."""
        rows = commits_of(offsets)
        _ffi.lib.group_commit_offsets(
            self._store.handle, self._name, _ffi.offsets_array(rows), len(rows)
        )

    def reset(
        self,
        to: times.Start,
        topics: Union[None, str, Sequence[str]] = None,
        dry_run: bool = False,
    ) -> Dict[TopicPartition, int]:
        """Commit another place for all partitions of topics, or of one (default: those committed so far).

        Answers the new offsets; dry_run changes nothing.
        """
        if topics is None:
            places = list(self.committed())
        else:
            places = [
                TopicPartition(name, number)
                for name in ([topics] if isinstance(topics, str) else topics)
                for number in range(Topic(self._store, name).partitions)
            ]
        found = {
            place: Topic(self._store, place.topic).place(place.partition, to) for place in places
        }
        if found and not dry_run:
            self.commit(found)
        return found

    def delete_offsets(self, partitions: Iterable[Any]) -> None:
        """Forget what is committed for these."""
        rows = places_of(partitions)
        _ffi.lib.group_delete_offsets(
            self._store.handle, self._name, _ffi.offsets_array(rows), len(rows)
        )

    def delete(self) -> None:
        """With all that it has committed. NonEmptyGroupError, GroupIdNotFoundError."""
        _ffi.lib.group_delete(self._store.handle, self._name)


class Groups(Mapping[str, Group]):
    """All groups of a store. Indexing takes any name: a group comes to be by its first commit."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def names(self) -> List[str]:
        """Sorted."""
        return _ffi.names_of(
            _ffi.new(_ffi.NamesHandle, _ffi.lib.group_list, self._store.handle)
        )

    def __getitem__(self, name: str) -> Group:
        encoded(name)
        return Group(self._store, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()
