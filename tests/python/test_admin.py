# SPDX-License-Identifier: MIT
"""KafkaAdminClient: topics, properties, records and groups; answers of both ages of kafka-python."""
import pytest

from kafkalite import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafkalite.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    NewPartitions,
    NewTopic,
    ResourcePattern,
    ResourceType,
)
from kafkalite.errors import (
    BrokerResponseError,
    GroupIdNotFoundError,
    IllegalArgumentError,
    IllegalStateError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidTopicError,
    KafkaConfigurationError,
    NoError,
    NonEmptyGroupError,
    OffsetOutOfRangeError,
    SecurityDisabledError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)


@pytest.fixture
def admin(log, servers):
    with KafkaAdminClient(bootstrap_servers=servers) as client:
        yield client


def test_making_and_deleting_topics(log, admin):
    answer = admin.create_topics([NewTopic("a", 3, 1), NewTopic("b", -1, -1), NewTopic("c", 1, 5, topic_configs={
        "segment.bytes": "1000000", "min.insync.replicas": "2"})])
    assert answer.topic_errors == [("a", 0, None), ("b", 0, None), ("c", 0, None)]
    assert answer["topics"][0]["error_code"] == 0 and answer.topics[0][0] == "a" and answer.topics[0][1] == 0
    assert [t.partitions for t in log.topics()] == [3, 1, 1]
    assert log.topic("c").config["segment.bytes"] == "1000000"
    with pytest.raises(TopicAlreadyExistsError) as caught:
        admin.create_topics([NewTopic("d", 1, 1), NewTopic("a", 1, 1), NewTopic("e", 1, 1)])
    assert caught.value.errno == 36 and {"d", "e"} <= set(admin.list_topics())
    told = admin.create_topics([NewTopic("a", 1, 1)], raise_errors=False)
    assert told["topics"][0]["error_code"] == 36 and told.topic_errors[0][1] == 36
    admin.create_topics(["by-name"])
    admin.create_topics({"by-dict": {"num_partitions": 2}})
    assert log.topic("by-dict").partitions == 2
    for topic, error in (
        (NewTopic("bad name", 1, 1), InvalidTopicError),
        (NewTopic("f", 0, 1), InvalidPartitionsError),
        (NewTopic("f", 1, 1, topic_configs={"segment.bites": "1"}), InvalidConfigurationError),
        (NewTopic("f", 1, 1, topic_configs={"segment.bytes": "many"}), InvalidConfigurationError),
    ):
        with pytest.raises(error):
            admin.create_topics([topic])
    admin.create_topics([NewTopic("f", 1, 1)], validate_only=True)
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic("a", 1, 1)], validate_only=True)
    assert "f" not in log
    answer = admin.delete_topics(["b", "c"])
    assert answer.topic_error_codes == [("b", 0), ("c", 0)] and answer.responses[0][0] == "b"
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_topics(["a", "b"])
    assert "a" not in log


def test_a_topic_made_again_begins_at_zero(admin, servers):
    with KafkaProducer(bootstrap_servers=servers) as producer:
        assert producer.send("t", b"1").get(10).offset == 0
        admin.delete_topics(["t"])
        assert producer.send("t", b"2").get(10).offset == 0


def test_describing(admin):
    admin.create_topics([NewTopic("t", 2, 1)])
    told, missing = admin.describe_topics(["t", "nope"])
    assert told["topic"] == told["name"] == "t" and told["error_code"] == 0 and not told["is_internal"]
    assert [(p["partition"], p["partition_index"], p["leader"], p["isr"]) for p in told["partitions"]] == [
        (0, 0, 0, [0]), (1, 1, 0, [0])]
    assert missing["error_code"] == 3 and missing["partitions"] == []
    assert [t["topic"] for t in admin.describe_topics()] == ["t"]
    assert admin.describe_cluster()["controller_id"] == 0 and len(admin.describe_cluster()["brokers"]) == 1


def test_partitions_grow(log, admin):
    admin.create_topics([NewTopic("t", 1, 1)])
    admin.create_partitions({"t": NewPartitions(3)}, validate_only=True)
    assert log.topic("t").partitions == 1
    assert admin.create_partitions({"t": NewPartitions(3)}).topic_errors == [("t", 0, None)]
    for count in (3, 2):
        with pytest.raises(InvalidPartitionsError):
            admin.create_partitions({"t": NewPartitions(count)})
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.create_partitions({"u": NewPartitions(3)})


def test_properties(admin):
    admin.create_topics([NewTopic("t", 1, 1)])
    answer = admin.alter_configs([ConfigResource("topic", "t", {"segment.ms": "7000", "preallocate": "true"})])
    assert answer.resources[0][0] == 0
    bad = admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "t", {"nonsense": "1"})])
    assert bad.resources[0][0] == 40 and "nonsense" in bad.resources[0][1]
    topics, broker = admin.describe_configs([
        ConfigResource(ConfigResourceType.TOPIC, "t"), ConfigResource(ConfigResourceType.BROKER, "0")])
    code, message, kind, name, entries = topics.resources[0].values()
    assert (code, message, kind, name) == (0, None, 2, "t")
    values = {entry[0]: (entry[1], entry[3]) for entry in entries}
    assert values["segment.ms"] == ("7000", 1) and values["cleanup.policy"] == ("delete", 5)
    assert broker.resources[0][2] == 4 and len(broker.results[0][4]) > 1
    one = admin.describe_configs([ConfigResource("TOPIC", "t", ["segment.ms"])])[0]["results"][0]["configs"]
    assert [(e["name"], e["value"]) for e in one] == [("segment.ms", "7000")]
    assert admin.describe_configs([ConfigResource("topic", "nope")])[0].resources[0][0] == 3
    with pytest.raises(ValueError):
        admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, "str")])
    with pytest.raises(KeyError):
        ConfigResource("nonsense", "t")


def test_deleting_records(log, admin, servers):
    admin.create_topics([NewTopic("t", 2, 1)])
    with log.producer() as producer:
        for number in (0, 1):
            producer.send_many("t", [(None, b"x")] * 100, partition=number)
    first, second = TopicPartition("t", 0), TopicPartition("t", 1)
    told = admin.delete_records({first: -1, second: 40}, timeout_ms=1000)
    assert told == {first: {"low_watermark": 100, "error_code": 0, "partition_index": 0},
                    second: {"low_watermark": 40, "error_code": 0, "partition_index": 1}}
    with KafkaConsumer(bootstrap_servers=servers) as consumer:
        assert consumer.beginning_offsets([first, second]) == {first: 100, second: 40}
    with pytest.raises(OffsetOutOfRangeError):
        admin.delete_records({second: 1000})
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_records({TopicPartition("t", 9999): -1})
    with pytest.raises(BrokerResponseError):
        admin.delete_records({TopicPartition("nope", 0): -1})


def test_groups(log, admin, servers):
    log.create_topic("t")
    log.producer().send_many("t", [(None, b"x")] * 10)
    place = TopicPartition("t", 0)

    def read(group):
        consumer = KafkaConsumer("t", bootstrap_servers=servers, group_id=group, auto_offset_reset="earliest")
        next(consumer)
        return consumer

    read("one").close()
    read("two").close()
    living = read("three")
    living.commit()
    assert set(admin.list_consumer_groups()) == {("one", "consumer"), ("two", "consumer"), ("three", "consumer")}
    assert admin.list_groups() == admin.list_consumer_groups()
    assert admin.list_consumer_group_offsets("one") == {place: OffsetAndMetadata(1, "")}
    both = admin.list_consumer_group_offsets("one", partitions=[place, TopicPartition("t", 1)])
    assert both[TopicPartition("t", 1)].offset == -1
    one, three, gone = admin.describe_consumer_groups(["one", "three", "gone"])
    assert (one.group, one.state, one.members) == ("one", "Empty", []) and gone.state == "Dead"
    assert three.state == "Stable" and three.protocol == "range" and len(three.members) == 1
    member = three.members[0]
    assert list(member.member_metadata.subscription) == list(member.member_metadata.topics) == ["t"]
    assert member.member_assignment.partitions() == [place]
    assert member.member_assignment.assigned_partitions[0][0] == "t"
    assert dict(admin.delete_consumer_groups(["one", "three", "four"])) == {
        "one": NoError, "three": NonEmptyGroupError, "four": GroupIdNotFoundError}
    admin.alter_group_offsets("two", {place: OffsetAndMetadata(5, "moved")})
    assert admin.list_group_offsets("two") == {place: OffsetAndMetadata(5, "moved")}
    assert admin.reset_group_offsets("two", "latest") == {place: 10}
    admin.delete_group_offsets("two", [place])
    assert admin.list_group_offsets("two") == {}
    assert admin.list_partition_offsets({place: "latest"})[place].offset == 10
    assert admin.list_partition_offsets({place: 0})[place].offset == 0
    living.close()


def test_there_is_no_access_control(admin):
    pattern = ResourcePattern(ResourceType.TOPIC, "t")
    acl = ACL("User:x", "*", ACLOperation.READ, ACLPermissionType.ALLOW, pattern)
    anything = ACLFilter(None, "*", ACLOperation.ANY, ACLPermissionType.ANY, pattern)
    assert acl == ACL("User:x", "*", ACLOperation.READ, ACLPermissionType.ALLOW, pattern) != anything
    assert len({acl, anything}) == 2 and "READ" in repr(acl)
    for call in (lambda: admin.create_acls([acl]), lambda: admin.describe_acls(anything),
                 lambda: admin.delete_acls([anything])):
        with pytest.raises(SecurityDisabledError):
            call()
    with pytest.raises(IllegalArgumentError):
        admin.create_acls([anything])
    with pytest.raises(IllegalArgumentError):
        ACL("User:x", "*", ACLOperation.ANY, ACLPermissionType.ALLOW, pattern)
    with pytest.raises(IllegalArgumentError):
        ResourcePattern(ResourceType.ANY, "t")


def test_options_and_the_end(servers):
    with pytest.raises(KafkaConfigurationError):
        KafkaAdminClient(bootstrap_servers=servers, nonsense=1)
    with pytest.raises(KafkaConfigurationError):
        KafkaAdminClient(bootstrap_servers=servers, security_protocol="SSL")
    client = KafkaAdminClient(bootstrap_servers=servers, client_id="c", api_version="2.5.0")
    assert client.config["api_version"] == (2, 5, 0)
    client.close()
    client.close()
    with pytest.raises(IllegalStateError):
        client.list_topics()
