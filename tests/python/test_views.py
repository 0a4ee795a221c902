# SPDX-License-Identifier: MIT
"""What programs and test-suites look at behind kafka-python's clients: metrics, the cluster, the coordinator."""
import time

import pytest

import kafkalite
from kafkalite import TopicPartition
from kafkalite.coordinator.base import MemberState
from kafkalite.errors import UnsupportedVersionError


def test_metrics_have_kafka_pythons_names(servers):
    kafka = pytest.importorskip("kafka")
    offline = {"bootstrap_servers": "localhost:1", "api_version": (2, 0, 0)}
    for name, options in (("KafkaProducer", {}), ("KafkaConsumer", {"group_id": "g"})):
        theirs = getattr(kafka, name)(**offline, **options)
        with getattr(kafkalite, name)(bootstrap_servers=servers, **options) as ours:
            told = ours.metrics()
            groups = {g: n for g, n in theirs.metrics().items() if "-node-metrics" not in g}  # of connections
            for group, numbers in groups.items():
                assert set(numbers) <= set(told[group]), group
            assert all(isinstance(n, (int, float)) for numbers in told.values() for n in numbers.values())
            assert told["kafka-metrics-count"]["count"] == sum(map(len, told.values()))
        theirs.close(*([0] if name == "KafkaProducer" else []))


def test_metrics_count_what_went_through(servers):
    with kafkalite.KafkaProducer(bootstrap_servers=servers, max_request_size=1000) as producer:
        for size in (10, 20, 30):
            producer.send("t", b"x" * size, key=b"k")
        assert producer.send("t", b"x" * 2000).failed()
        producer.send(".", b"x")
        told = producer.metrics()["producer-metrics"]
        assert (told["record-send-total"], told["record-error-total"]) == (3, 2)
        assert told["record-send-rate"] > 0 < told["byte-rate"] == told["outgoing-byte-rate"]
        assert told["record-size-max"] - 30 == told["record-size-avg"] - 20
    with kafkalite.KafkaConsumer("t", bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        fetch = "consumer-fetch-manager-metrics"
        assert consumer.metrics()[fetch]["records-lag-max"] == 3
        consumer.poll(1000, max_records=2)
        told = consumer.metrics()
        assert told[fetch]["records-consumed-total"] == 2 and told[fetch]["bytes-consumed-total"] == 32
        assert told[fetch]["records-lag-max"] == 1 == told[fetch + ".t-0"]["records-lag"]
        assert told["consumer-coordinator-metrics"]["assigned-partitions"] == 1


def test_a_tombstone_counts_no_bytes(servers):
    with kafkalite.KafkaProducer(bootstrap_servers=servers) as producer:
        producer.send("t", None, key=b"four")
        producer.send("t", b"four")
    with kafkalite.KafkaConsumer("t", bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        consumer.poll(1000)
        assert consumer.metrics()["consumer-fetch-manager-metrics"]["bytes-consumed-total"] == 8


def test_the_cluster_is_one_broker(servers):
    with kafkalite.KafkaAdminClient(bootstrap_servers=servers) as admin:
        admin.create_topics([kafkalite.admin.NewTopic("t", 2, 1), kafkalite.admin.NewTopic("__hidden", 1, 1)])
        client = admin._client
        assert client.least_loaded_node() == 0
        (broker,) = client.cluster.brokers()
        assert broker == client.cluster.broker_metadata(0) == client.cluster._brokers[0] and broker.nodeId == 0
        assert client.cluster.topics() == {"t"} and client.cluster.topics(False) == {"t", "__hidden"}
        assert client.cluster.partitions_for_topic("t") == {0, 1} and client.cluster.partitions_for_topic("u") is None
        assert client.cluster.leader_for_partition(TopicPartition("t", 1)) == 0
        assert client.cluster.leader_for_partition(TopicPartition("t", 2)) is None


def test_a_member_shows_how_it_stands(servers):
    with kafkalite.KafkaConsumer("t", bootstrap_servers=servers, group_id="g") as consumer:
        coordinator = consumer._coordinator
        assert coordinator.state is MemberState.UNJOINED and coordinator._generation.generation_id == -1
        assert coordinator.heartbeat.last_poll == 0
        began = time.monotonic()
        while not consumer.assignment():
            consumer.poll(100)
        assert consumer._coordinator.state is MemberState.STABLE and not coordinator.rejoining
        generation = coordinator._generation
        assert generation.generation_id > 0
        assert (generation.generation_id, generation.member_id) == consumer.group_metadata()[1:3]
        assert coordinator.heartbeat.last_poll > began < coordinator.heartbeat.last_receive
        assert not coordinator.heartbeat.heartbeat_failed


def test_a_subscription_is_assigned_by_the_first_poll(servers):
    """As kafka-python has it: its own tests look for an empty set before."""
    with kafkalite.KafkaConsumer("t", bootstrap_servers=servers) as consumer:
        assert consumer.assignment() == set()
        consumer.poll(0)
        assert consumer.assignment() == {TopicPartition("t", 0)}
    with kafkalite.KafkaConsumer(bootstrap_servers=servers) as consumer:
        consumer.assign([TopicPartition("t", 0)])
        assert consumer.assignment() == {TopicPartition("t", 0)}


def test_the_iterators_of_both_ages_are_the_iterator(servers):
    with kafkalite.KafkaProducer(bootstrap_servers=servers) as producer:
        for number in range(3):
            producer.send("t", b"%d" % number)
    with kafkalite.KafkaConsumer("t", bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        assert [consumer.next_v1().value, next(consumer).value, consumer.next_v2().value] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("name", ["perform_leader_election", "describe_log_dirs", "list_transactions",
                                  "alter_partition_reassignments", "describe_client_quotas", "update_features"])
def test_what_only_a_cluster_has_says_so(servers, name):
    with kafkalite.KafkaAdminClient(bootstrap_servers=servers) as admin:
        with pytest.raises(UnsupportedVersionError, match=name):
            getattr(admin, name)("anything", timeout_ms=5)


@pytest.mark.parametrize("group", [None, "g"])
def test_a_pattern_that_nothing_matches_reads_nothing(servers, group):
    with kafkalite.KafkaProducer(bootstrap_servers=servers) as producer:
        producer.send("t", b"x").get(5)
    options = {"bootstrap_servers": servers, "group_id": group, "auto_offset_reset": "earliest"}
    with kafkalite.KafkaConsumer("t", **options) as consumer:
        assert consumer.poll(5000)
        consumer.subscribe(pattern="nothing.*")
        assert consumer.subscription() == set() == consumer.assignment()
        with kafkalite.KafkaProducer(bootstrap_servers=servers) as producer:
            producer.send("t", b"not for us")
            assert consumer.poll(50) == {}
            producer.send("nothing-1", b"for us")
        while consumer.assignment() != {TopicPartition("nothing-1", 0)}:
            consumer.poll(100)


def test_a_client_waits_for_the_broker_and_lists_topics(servers):
    """What programs use KafkaClient and ClusterMetadata for."""
    from kafkalite.client_async import KafkaClient
    from kafkalite.cluster import ClusterMetadata

    with kafkalite.KafkaProducer(bootstrap_servers=servers) as producer:
        producer.send("t", b"x")
    client = KafkaClient(bootstrap_servers=servers, client_id="c", anything_else=1)
    assert client.bootstrap_connected() and client.ready(client.least_loaded_node()) and client.check_version() >= (2, 0)
    future = client.cluster.request_update()
    client.poll(future=future)
    assert future.succeeded() and client.cluster.topics() == {"t"}
    assert client.cluster.partitions_for_broker(0) == {TopicPartition("t", 0)}
    with pytest.raises(UnsupportedVersionError):
        client.send(0, None)
    client.close()
    client.close()
    assert not client.bootstrap_connected()
    metadata = ClusterMetadata(bootstrap_servers=[servers])
    assert metadata.brokers() == {metadata.controller} and metadata.topics() == {"t"}
    assert metadata.partitions_for_topic("t") == metadata.available_partitions_for_topic("t") == {0}
    assert metadata.cluster_id and metadata.coordinator_for_group("g") == 0 and metadata.unauthorized_topics == set()


@pytest.mark.parametrize("module, name", [("kafka.cluster", "ClusterMetadata"), ("kafka.client_async", "KafkaClient")])
def test_what_is_asked_takes_what_it_took(module, name):
    """Questions, that is: not what only kafka-python's own parts call."""
    import importlib
    import inspect

    pytest.importorskip("kafka")
    inside = {"add_group_coordinator", "failed_update", "update_metadata", "with_partitions", "connection_delay", "get_api_versions",
              "in_flight_request_count", "is_disconnected", "maybe_connect", "throttle_delay"}
    theirs = getattr(importlib.import_module(module), name)
    ours = getattr(importlib.import_module("kafkalite" + module[len("kafka"):]), name)
    for method_name, method in inspect.getmembers(theirs, inspect.isfunction):
        if method_name.startswith("_") or method_name in inside:
            continue
        wanted = [p for p in inspect.signature(method).parameters if p not in ("self", "configs")]
        given = list(inspect.signature(getattr(ours, method_name)).parameters)
        assert [p for p in given if p not in ("self", "configs")][: len(wanted)] == wanted, method_name
