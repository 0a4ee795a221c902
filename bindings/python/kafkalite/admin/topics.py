# SPDX-License-Identifier: MIT
"""Topics as an administrator has them."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

from .._native.config import property_names
from .._native.topic import Topic
from ..errors import (
    ConfigError,
    IllegalArgumentError,
    InvalidPartitionsError,
    InvalidTopicError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from ..structs import TopicPartition
from .answers import Answer, Outcome, Row, first_error, number_of, text_of, topics_answer
from .config_resource import ConfigResource, ConfigResourceType
from .new_partitions import NewPartitions
from .new_topic import NewTopic

# Of a cluster, of old clients or of a file system that is not here: taken, and without effect.
IGNORED_CONFIGS = frozenset(
    (
        "file.delete.delay.ms",
        "follower.replication.throttled.replicas",
        "leader.replication.throttled.replicas",
        "message.downconversion.enable",
        "message.format.version",
        "min.insync.replicas",
        "preallocate",
        "segment.jitter.ms",
        "unclean.leader.election.enable",
    )
)


class Topics:
    """Mixed into KafkaAdminClient."""

    _store: Any
    _check_open: Callable[[], None]

    def _each(self, names: Iterable[Any], act: Callable[[Any], None]) -> List[Outcome]:
        outcomes: List[Outcome] = []
        for name in names:
            try:
                act(name)
                outcomes.append((getattr(name, "name", name), None))
            except KafkaError as error:
                outcomes.append((getattr(name, "name", name), error))
        return outcomes

    def create_topics(
        self,
        new_topics: Any,
        timeout_ms: Optional[int] = None,
        validate_only: bool = False,
        raise_errors: bool = True,
    ) -> Answer:
        """Make topics: NewTopic each, or names. The first error is raised, after all were tried."""
        self._check_open()
        if isinstance(new_topics, Mapping):
            new_topics = [
                what if isinstance(what, NewTopic) else NewTopic(name, **(what or {}))
                for name, what in new_topics.items()
            ]
        topics = [NewTopic(topic) if isinstance(topic, str) else topic for topic in new_topics]
        outcomes = self._each(topics, lambda topic: self._create(topic, validate_only))
        error = first_error(outcomes)
        if error is not None and raise_errors:
            raise error
        return topics_answer(outcomes, True)

    def _create(self, topic: NewTopic, validate_only: bool) -> None:
        count = topic.num_partitions
        if count == -1:
            count = len(topic.replica_assignments) or 1
        config = {k: v for k, v in topic.topic_configs.items() if k not in IGNORED_CONFIGS}
        if not validate_only:
            self._store.create_topic(topic.name, count, config)
            return
        if topic.name in self._store.topic_names():
            raise TopicAlreadyExistsError(f"a topic {topic.name} exists")
        if count < 1:
            raise InvalidPartitionsError(f"{count} partitions")
        unknown = set(config) - set(property_names("topic"))
        if unknown:
            raise ConfigError(f"no such property: {', '.join(sorted(unknown))}")

    def delete_topics(
        self, topics: Iterable[str], timeout_ms: Optional[int] = None, raise_errors: bool = True
    ) -> Answer:
        """With their records, and every group's offsets for them."""
        self._check_open()
        outcomes = self._each(topics, lambda name: Topic(self._store, name).delete())
        error = first_error(outcomes)
        if error is not None and raise_errors:
            raise error
        return topics_answer(outcomes, False)

    def list_topics(self) -> List[str]:
        self._check_open()
        names: List[str] = self._store.topic_names()
        return names

    def describe_topics(self, topics: Optional[Iterable[str]] = None) -> List[Dict[str, Any]]:
        """A dict each, with the keys of all versions; error_code 3: there is no such topic."""
        self._check_open()
        names = self._store.topic_names() if topics is None else topics
        return [self._describe(name) for name in names]

    def _describe(self, name: str) -> Dict[str, Any]:
        code, count = 0, 0
        try:
            count = Topic(self._store, name).partitions
        except (UnknownTopicOrPartitionError, InvalidTopicError) as error:
            code = number_of(error)
        rows = [
            {
                "error_code": 0,
                "partition": number,
                "partition_index": number,
                "leader": 0,
                "leader_id": 0,
                "replicas": [0],
                "replica_nodes": [0],
                "isr": [0],
                "isr_nodes": [0],
                "offline_replicas": [],
            }
            for number in range(count)
        ]
        return {
            "error_code": code,
            "topic": name,
            "name": name,
            "is_internal": name.startswith("__"),
            "partitions": rows,
        }

    def create_partitions(
        self,
        topic_partitions: Mapping[str, Any],
        timeout_ms: Optional[int] = None,
        validate_only: bool = False,
        raise_errors: bool = True,
    ) -> Answer:
        """{topic: NewPartitions(total_count)}; fewer or as many as there are is an error."""
        self._check_open()

        def grow(name: str) -> None:
            wanted = topic_partitions[name]
            count = wanted.total_count if isinstance(wanted, NewPartitions) else int(wanted)
            topic = Topic(self._store, name)
            if count <= topic.partitions:
                raise InvalidPartitionsError(
                    f"topic {name} has {topic.partitions} partitions: {count} are not more"
                )
            if not validate_only:
                topic.add_partitions(count)

        outcomes = self._each(topic_partitions, grow)
        error = first_error(outcomes)
        if error is not None and raise_errors:
            raise error
        return topics_answer(outcomes, True)

    def delete_records(
        self,
        records_to_delete: Mapping[TopicPartition, int],
        timeout_ms: Optional[int] = None,
        partition_leader_id: Any = None,
    ) -> Dict[TopicPartition, Dict[str, int]]:
        """{partition: delete what lies below}; -1: all that is there."""
        self._check_open()
        answer = {}
        for place, before in records_to_delete.items():
            topic = Topic(self._store, place.topic)
            if before > topic.end_offset(place.partition):
                raise OffsetOutOfRangeError(
                    f"{place.topic}/{place.partition} ends below offset {before}"
                )
            low = topic.delete_records(place.partition, None if before < 0 else before)
            answer[place] = {
                "low_watermark": low,
                "error_code": 0,
                "partition_index": place.partition,
            }
        return answer

    # Properties --------------------------------------------------------------------------------

    def describe_configs(
        self, config_resources: Iterable[ConfigResource], include_synonyms: bool = False
    ) -> List[Answer]:
        """One answer for all topics, and one for each broker, which is the store.

        A resource is (code, message, type, name, entries), and an entry (name, value, read_only,
        source, is_sensitive, synonyms) with source 1 when it was set.
        """
        self._check_open()
        topics: List[Row] = []
        brokers: List[List[Row]] = []
        for resource in config_resources:
            if resource.resource_type == ConfigResourceType.TOPIC:
                topics.append(self._topic_row(resource))
            else:
                brokers.append([self._store_row(resource)])
        return [
            Answer(throttle_time_ms=0, resources=rows, results=rows)
            for rows in ([topics] if topics else []) + brokers
        ]

    def _topic_row(self, resource: ConfigResource) -> Row:
        entries: List[Row] = []
        error: Optional[BaseException] = None
        try:
            topic = Topic(self._store, resource.name)
            were_set = topic.config_set()
            entries = [
                _entry(name, value, 1 if were_set[name] else 5)
                for name, value in topic.config.items()
                if not resource.configs or name in resource.configs
            ]
        except KafkaError as found:
            error = found
        return _config_row(error, resource, entries)

    def _store_row(self, resource: ConfigResource) -> Row:
        try:
            int(resource.name)
        except ValueError:
            raise ValueError(f"a broker's name is a number, not {resource.name!r}") from None
        entries = [_entry(name, value, 5) for name, value in property_names("store").items()]
        return _config_row(None, resource, entries)

    def alter_configs(self, config_resources: Iterable[ConfigResource]) -> Answer:
        """Set these properties of topics; the others stay."""
        self._check_open()
        rows = []
        for resource in config_resources:
            if resource.resource_type != ConfigResourceType.TOPIC:
                raise IllegalArgumentError("a store has no brokers with properties, only topics")
            wanted = {
                name: value
                for name, value in dict(resource.configs or {}).items()
                if name not in IGNORED_CONFIGS
            }
            error: Optional[BaseException] = None
            try:
                Topic(self._store, resource.name).alter(wanted)
            except KafkaError as found:
                error = found
            rows.append(_config_row(error, resource, []))
        return Answer(throttle_time_ms=0, resources=rows, responses=rows)


def _entry(name: str, value: str, source: int) -> Row:
    return Row(
        name=name,
        value=value,
        read_only=False,
        config_source=source,
        is_sensitive=False,
        synonyms=[],
    )


def _config_row(
    error: Optional[BaseException], resource: ConfigResource, entries: List[Row]
) -> Row:
    return Row(
        error_code=number_of(error),
        error_message=text_of(error),
        resource_type=int(resource.resource_type),
        resource_name=str(resource.name),
        configs=entries,
    )
