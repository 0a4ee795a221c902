# SPDX-License-Identifier: MIT
"""The commits of a KafkaConsumer: by request, later, and automatic ones."""
from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, Mapping, Optional, Union

from .._native.group import commits_of
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    StateError,
    UnknownMemberIdError,
)
from ..future import Future
from ..structs import OffsetAndMetadata, TopicPartition

log = logging.getLogger("kafkalite")

OUT_OF_THE_GROUP = (
    IllegalGenerationError,
    UnknownMemberIdError,
    RebalanceInProgressError,
    FencedInstanceIdError,
)
Offsets = Mapping[TopicPartition, Any]


class Commits:
    """Mixed into KafkaConsumer."""

    config: Dict[str, Any]
    _native: Any
    _check_open: Callable[[], None]

    def _begin_commits(self) -> None:
        self._automatic = bool(
            self.config["enable_auto_commit"] and self.config["group_id"] is not None
        )
        self._next_commit = time.monotonic() + self._interval()
        self._committed_last: Dict[TopicPartition, int] = {}

    def _interval(self) -> float:
        return float(self.config["auto_commit_interval_ms"]) / 1000

    def _need_group(self) -> None:
        self._check_open()
        if self.config["group_id"] is None:
            raise StateError("Requires group_id")

    def _explicit(self, offsets: Optional[Offsets]) -> Dict[TopicPartition, OffsetAndMetadata]:
        """What to commit: what was given, or everything handed out so far."""
        if offsets is None:
            return {
                place: OffsetAndMetadata(offset, "")
                for place, offset in self._native.assignment().items()
                if offset >= 0
            }
        if not isinstance(offsets, Mapping):
            raise ArgumentTypeError("offsets is a dict of TopicPartition to OffsetAndMetadata")
        found = {}
        for place, what in offsets.items():
            if not isinstance(place, TopicPartition):
                raise ArgumentTypeError(f"offsets has the key {place!r}, not a TopicPartition")
            if isinstance(what, bool) or not isinstance(what, (int, OffsetAndMetadata)):
                raise ArgumentTypeError(f"{what!r} is neither OffsetAndMetadata nor an int")
            found[place] = OffsetAndMetadata(what, "") if isinstance(what, int) else what
            if found[place].offset < 0:
                raise ArgumentValueError(f"an offset is 0 or more, not {found[place].offset}")
        return found

    def commit(self, offsets: Optional[Offsets] = None, timeout_ms: Optional[int] = None) -> None:
        """Durably: {partition: OffsetAndMetadata or int}, or everything handed out so far."""
        self._need_group()
        chosen = self._explicit(offsets)
        if not chosen:
            return
        try:
            self._native.commit(chosen)
        except OUT_OF_THE_GROUP as error:
            raise CommitFailedError(str(error)) from error

    def commit_async(
        self,
        offsets: Optional[Offsets] = None,
        callback: Optional[Callable[[Any, Any], Any]] = None,
    ) -> Future:
        """The same without waiting: callback(offsets, True or an exception) runs in a later
        poll(), commit() or close() of this consumer."""
        self._need_group()
        chosen = self._explicit(offsets)
        future = Future()
        told = callback or self.config["default_offset_commit_callback"]

        def outcome(_: Any, error: Optional[BaseException]) -> None:
            if isinstance(error, OUT_OF_THE_GROUP):
                error = CommitFailedError(str(error))
            try:
                told(chosen, True if error is None else error)
            except Exception:
                log.exception("a callback of a commit failed")
            if error is None:
                future.success(True)
            else:
                future.failure(error)

        if chosen:
            self._native.commit_async(chosen, outcome)
        else:
            outcome(None, None)
        return future

    def committed(
        self, partition: TopicPartition, metadata: bool = False, timeout_ms: Optional[int] = None
    ) -> Union[None, int, OffsetAndMetadata]:
        """What the group has committed there: an offset, or OffsetAndMetadata; None: nothing."""
        self._need_group()
        if not isinstance(partition, TopicPartition):
            raise TypeError("partition must be a TopicPartition namedtuple")
        found = self._native.committed(partition).get(partition)
        if found is None or metadata:
            result: Optional[OffsetAndMetadata] = found
            return result
        return int(found.offset)

    # Automatic ones ----------------------------------------------------------------------------

    def _commit_when_due(self) -> None:
        if not self._automatic or time.monotonic() < self._next_commit:
            return
        self._next_commit = time.monotonic() + self._interval()
        chosen = self._changed()
        if chosen:
            self.commit_async(chosen)

    def _changed(self) -> Dict[TopicPartition, OffsetAndMetadata]:
        """Positions that are not committed yet."""
        every = self._explicit(None)
        chosen = {
            place: what
            for place, what in every.items()
            if self._committed_last.get(place) != what.offset
        }
        self._committed_last = {place: what.offset for place, what in every.items()}
        return chosen

    def _commit_before_losing(self, _: Any) -> None:
        """Before partitions go, and at the end."""
        if not self._automatic:
            return
        chosen = self._explicit(None)
        self._committed_last = {}
        if not chosen:
            return
        response: Any = True
        try:
            self._native.commit(chosen)
        except KafkaError as error:
            log.warning("an automatic commit failed: %s", error)
            response = error
        try:
            self.config["default_offset_commit_callback"](chosen, response)
        finally:
            del response  # its traceback holds this frame

    def _end_commits(self, autocommit: bool) -> None:
        if autocommit:
            self._commit_before_losing(None)
        self._native.wait_commits(5.0)


__all__ = ["Commits", "commits_of"]
