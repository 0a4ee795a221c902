# SPDX-License-Identifier: MIT
"""What a KafkaConsumer reads: names, a pattern or partitions, followed as topics come and grow."""
from __future__ import annotations

import logging
import re
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Set

from .._facade.cluster import Cluster
from .._native.topic import Topic
from ..errors import (
    ArgumentTypeError,
    StateError,
    UnknownTopicOrPartitionError,
)
from ..structs import TopicPartition
from .subscription_state import ConsumerRebalanceListener

log = logging.getLogger("kafkalite")

# How often it is looked for new topics and partitions, and how long a poll may wait in between.
LOOK_S = 0.25
FOREVER_MS = 3_600_000
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_ONE_WAY = (
    "You must choose only one way to configure your consumer: (1) subscribe to specific topics by"
    " name, (2) subscribe to topics matching a regex pattern, (3) assign itself specific"
    " topic-partitions."
)
_BUILT_IN = ("range", "roundrobin", "sticky", "cooperative-sticky")


class Subscription:
    def __init__(self, store: Any, native: Any, config: Mapping[str, Any]) -> None:
        self._store = store
        self._native = native
        self._config = config
        self._in_group = config["group_id"] is not None
        self._topics: Optional[List[str]] = None
        self._pattern: Optional["re.Pattern[str]"] = None
        self._assigned = False
        self._followed: Dict[str, int] = {}
        self._looked = 0.0
        self._deleted: Set[TopicPartition] = set()
        self._listener: Any = None
        self.unset: Set[TopicPartition] = set()
        # Runs before partitions go, so that what was read of them can be committed.
        self.on_revoked: Callable[[Any], None] = lambda places: None
        native.assignor = self._share_out

    @staticmethod
    def strategy_name(kind: Any) -> str:
        """An assignor's name; one that the library does not have is run by a member."""
        name = getattr(kind, "name", None)
        if not isinstance(name, str):
            raise ArgumentTypeError(f"{kind!r} is not an assignor: it has no name")
        return name if name in _BUILT_IN else "user:" + name

    @property
    def follows(self) -> bool:
        """Topics or a pattern, as opposed to assigned partitions."""
        return self._topics is not None or self._pattern is not None

    def names(self) -> Optional[Set[str]]:
        if self._pattern is not None:
            return set(self._matching())
        return None if self._topics is None else set(self._topics)

    def subscribe(self, topics: Any, pattern: Any, listener: Any) -> None:
        if self._assigned:
            raise StateError(_ONE_WAY + " assign() was called: call unsubscribe() first")
        if not topics and pattern is None:
            raise ArgumentTypeError("Must provide topics or pattern")
        if topics and pattern is not None:
            raise StateError(_ONE_WAY)
        if listener is not None and not isinstance(listener, ConsumerRebalanceListener):
            raise TypeError("listener must be a ConsumerRebalanceListener")
        names = [topics] if isinstance(topics, str) else list(topics)
        for name in names:
            _check_name(name)
        self._listener = listener
        self._pattern = re.compile(pattern) if pattern is not None else None
        self._topics = sorted(set(names)) if pattern is None else None
        before, self._followed = self._followed, {}
        self._looked = 0.0
        self._native.ahead, self._native.place = (), 0
        if self._topics is not None:
            self._create_missing()
        self.follow()
        if before and not self._followed:
            self.on_revoked(None)
            self._let_go()

    def _create_missing(self) -> None:
        if self._config.get("allow_auto_create_topics", True):
            there = set(self._store.topic_names())
            for name in self._topics or ():
                if name not in there:
                    self._store.create_topic(name, exist_ok=True)
                    log.info("topic %s made by its first use, with one partition", name)

    def _matching(self) -> List[str]:
        assert self._pattern is not None
        hidden = self._config["exclude_internal_topics"]
        return [
            name
            for name in self._store.topic_names()
            if self._pattern.match(name) and not (hidden and name.startswith("__"))
        ]

    def follow(self) -> float:
        """Look for what is new, now and then; answers how many ms a poll may wait from now on."""
        if not self.follows:
            return self._await_deleted()
        if self._in_group and self._pattern is None:
            if not self._followed:
                self._join(self._topics or [])
            return FOREVER_MS
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._look()
        return LOOK_S * 1000

    def gone(self, topic: str) -> None:
        """Its deletion is no error of the others, which are read on; so is a new topic of its name,
        from where auto_offset_reset says."""
        log.warning("topic %s was deleted", topic)
        places = set(self._native.assignment())
        lost = {place for place in places if place.topic == topic}
        self._native.rewind()
        self._native.assign(places - lost)
        self._followed.pop(topic, None)
        self._looked = 0.0
        if not self.follows:
            self._deleted |= lost

    @property
    def deleted(self) -> Set[TopicPartition]:
        """Partitions that the program has assigned, of topics that are not there any more."""
        return self._deleted

    def _await_deleted(self) -> float:
        if not self._deleted:
            return FOREVER_MS
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            cluster = Cluster(self._store)
            again = {p for p in self._deleted if cluster.leader_for_partition(p) is not None}
            if again:
                self._deleted -= again
                self._native.rewind()
                self._native.assign(self._begin([*self._native.assignment(), *again]))
        return LOOK_S * 1000

    def _look(self) -> None:
        names = self._matching() if self._pattern is not None else self._topics or []
        if self._in_group:
            if set(names) != set(self._followed):
                self._join(names)
            return
        counts = {}
        for name in names:
            try:
                counts[name] = Topic(self._store, name).partitions
            except UnknownTopicOrPartitionError:
                continue
        if counts == self._followed:
            return
        before = set(self._native.assignment())
        self._native.rewind()
        self._native.assign(
            [TopicPartition(name, n) for name, count in counts.items() for n in range(count)]
        )
        self._followed = counts
        new = set(self._native.assignment()) - before
        if new:
            self._tell("on_partitions_assigned", new)

    def _join(self, names: List[str]) -> None:
        if not names:
            return
        self._followed = dict.fromkeys(names, 0)
        self._native.rewind()
        self._native.subscribe(
            names, on_assigned=self._on_assigned, on_revoked=self._on_revoked, on_lost=self._on_lost
        )

    def _tell(self, what: str, places: Iterable[TopicPartition]) -> None:
        """An error of the program's listener is logged, as kafka-python does: the poll goes on."""
        listener = self._listener
        if listener is None:
            return
        if not hasattr(listener, what):  # on_partitions_lost of an older listener
            what = "on_partitions_revoked"
        try:
            getattr(listener, what)(set(places))
        except Exception:
            log.exception("the rebalance listener %r failed in %s", listener, what)

    def _on_assigned(self, places: List[TopicPartition]) -> None:
        self._tell("on_partitions_assigned", places)

    def _on_revoked(self, places: List[TopicPartition]) -> None:
        self.on_revoked(places)
        self._tell("on_partitions_revoked", places)

    def _on_lost(self, places: List[TopicPartition]) -> None:
        self._tell("on_partitions_lost", places)

    def _share_out(self, group: Any) -> Dict[str, List[Any]]:
        """Ask the program's assignor, as kafka-python's leader does."""
        from ..coordinator.protocol import member_metadata

        kinds = {self.strategy_name(k): k for k in self._config["partition_assignment_strategy"]}
        kind = kinds[group.assignor]
        members = {member.member_id: member_metadata(member.topics) for member in group.members}
        shared = kind.assign(Cluster(self._store), members)
        return {
            member: [
                (topic, number) for topic, numbers in answer.assignment for number in numbers
            ]
            for member, answer in shared.items()
        }

    def assign(self, partitions: Iterable[Any]) -> None:
        if self.follows:
            raise StateError(_ONE_WAY + " subscribe() was called: call unsubscribe() first")
        places = list(partitions)
        for place in places:
            if not isinstance(place, TopicPartition):
                raise TypeError(f"partitions must be TopicPartition namedtuples, not {place!r}")
            if self._config.get("allow_auto_create_topics", True):
                try:
                    Topic(self._store, place.topic).partitions
                except UnknownTopicOrPartitionError:
                    self._store.create_topic(place.topic, exist_ok=True)
        self._native.assign(self._begin(places))
        self._deleted = set()
        self._assigned = bool(places)

    def _begin(self, places: List[TopicPartition]) -> Any:
        """Without auto_offset_reset what has no commit begins nowhere, until somebody seeks."""
        self.unset = set()
        if self._config["auto_offset_reset"] != "none":
            return places
        committed = self._native.committed(*places) if places and self._in_group else {}
        known = self._native.assignment()
        self.unset = {p for p in places if p not in committed and p not in known}
        return {place: "latest" if place in self.unset else "committed" for place in places}

    def _let_go(self) -> None:
        if self._in_group:
            self._native.unsubscribe()
        else:
            self._native.assign([])

    def unsubscribe(self) -> None:
        self._native.ahead, self._native.place = (), 0
        if self._followed or not self._in_group:
            self._let_go()
        else:
            self._native.assign([])
        self._topics = self._pattern = self._listener = None
        self._assigned = False
        self._followed, self._deleted = {}, set()


def _check_name(name: Any) -> None:
    if name is None:
        raise TypeError("All topics must not be None")
    if not isinstance(name, str):
        raise TypeError("All topics must be strings")
    if not name:
        raise ValueError("All topics must be non-empty strings")
    if name in (".", ".."):
        raise ValueError('Topic name cannot be "." or ".."')
    if len(name) > 249:
        raise ValueError(
            f'Topic name is illegal, it can\'t be longer than 249 characters, topic: "{name}"'
        )
    if not _NAME.fullmatch(name):
        raise ValueError(
            f'Topic name "{name}" is illegal, it contains a character other than ASCII'
            ' alphanumerics, ".", "_" and "-"'
        )
