# SPDX-License-Identifier: MIT
"""What programs written for kafka-python import, unpack and look at, beyond the calls themselves."""
import copy
import gc
import importlib
import json
import pickle
import sys
import weakref
from unittest.mock import MagicMock

import pytest

import kafkalite
from kafkalite import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafkalite import _install
from kafkalite.admin import ConfigResource, ConfigResourceType, NewTopic
from kafkalite.errors import KafkaConfigurationError
from kafkalite.structs import OffsetAndTimestamp


@pytest.fixture
def admin(servers):
    with KafkaAdminClient(bootstrap_servers=servers) as client:
        client.create_topics([NewTopic("t", 4, 1)])
        yield client


IMPORTED = {
    "codec": ["has_gzip", "has_snappy", "has_lz4", "has_zstd"],
    "conn": ["BrokerConnection", "ConnectionStates"],
    "metrics": ["AbstractMetricsReporter"],
    "metrics.metrics_reporter": ["AbstractMetricsReporter"],
    "oauth": ["AbstractTokenProvider"],
    "oauth.abstract": ["AbstractTokenProvider"],
    "sasl.oauth": ["AbstractTokenProvider"],
    "vendor.six": ["PY2", "string_types", "iteritems", "itervalues", "add_metaclass", "raise_from"],
    "vendor.six.moves": ["range", "xrange", "queue"],
}


@pytest.mark.parametrize("module", IMPORTED)
def test_what_programs_import_is_there(module):
    found = importlib.import_module("kafkalite." + module)
    assert [name for name in IMPORTED[module] if not hasattr(found, name)] == []


def test_a_token_provider_can_be_defined_where_none_is_used(servers):
    from kafkalite.oauth import AbstractTokenProvider
    from kafkalite.sasl.oauth import AbstractTokenProvider as later

    class Tokens(AbstractTokenProvider):
        def token(self):
            return "t"

    assert later is AbstractTokenProvider
    assert Tokens().token() == "t" and Tokens().extensions() == {}
    with pytest.raises(KafkaConfigurationError):
        KafkaProducer(bootstrap_servers=servers, sasl_oauth_token_provider=Tokens())


def test_rows_of_answers_are_tuples_and_dicts(admin):
    (answer,) = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "t", ["retention.ms"])])
    code, message, kind, name, entries = answer.resources[0]
    assert (code, message, kind, name) == (0, None, ConfigResourceType.TOPIC, "t")
    assert {key: value for key, value, *_ in entries} == {"retention.ms": "-1"}
    row = answer.resources[0]
    assert row["resource_name"] == row.resource_name == row[3] == "t" and row[:2] == (0, None)
    assert "error_code" in row and list(row.keys())[0] == "error_code"
    for same in (dict(row), {**row}, copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
        assert same["resource_name"] == "t" and same.keys() == row.keys()
    whole = answer.to_object()
    assert whole == json.loads(json.dumps(whole)) and json.loads(json.dumps(answer)).keys() == whole.keys()
    (resource,) = whole["resources"]
    assert resource["configs"] == resource["config_entries"] and type(resource) is dict
    (entry,) = resource["config_entries"]
    assert (entry["config_names"], entry["config_value"], entry["config_synonyms"]) == ("retention.ms", "-1", [])
    assert (entry["name"], entry["value"]) == ("retention.ms", "-1")


def test_rows_of_topics_unpack(admin):
    made = admin.create_topics([NewTopic("u", 1, 1)])
    assert [tuple(row) for row in made.topics] == made.topic_errors == [("u", 0, None)]
    (error,) = made.to_object()["topic_errors"]
    assert (error["topic"], error["error_code"], error["error_message"]) == ("u", 0, None)
    gone = admin.delete_topics(["u"])
    assert gone.to_object()["topic_error_codes"][0]["error_code"] == 0


def test_offsets_with_times_are_named_tuples():
    value = OffsetAndTimestamp(1, None)
    assert value.timestamp is None
    assert value._asdict() == {"offset": 1, "timestamp": None, "leader_epoch": -1}
    assert value._replace(timestamp=5) == OffsetAndTimestamp._make([1, 5]) == (1, 5)
    assert type(value._replace(offset=2)) is OffsetAndTimestamp


def test_the_connection_is_seen(servers, admin):
    from kafkalite.conn import ConnectionStates

    consumer = KafkaConsumer("t", bootstrap_servers=servers)
    (connection,) = consumer._client._conns.values()
    assert connection.state is ConnectionStates.CONNECTED and connection.connected()
    assert consumer._client._topics == {"t"}
    consumer.close()
    client = consumer._client
    assert client._conns[0].state is ConnectionStates.DISCONNECTED


def test_tracers_ask_a_producer_where_a_record_would_go(servers, admin):
    """As opentelemetry's and others do, before send()."""
    with KafkaProducer(bootstrap_servers=servers, key_serializer=str.encode) as producer:
        assert producer._metadata.partitions_for_topic("t") == {0, 1, 2, 3}
        key = producer._serialize(producer.config["key_serializer"], "t", "some key")
        value = producer._serialize(producer.config["value_serializer"], "t", b"v")
        assert (key, value) == (b"some key", b"v")
        told = producer._partition("t", None, "some key", b"v", key, value)
        assert producer.send("t", b"v", key="some key").get().partition == told
        assert producer._partition("t", 2, "some key", b"v", key, value) == 2
        assert producer._partition("t", None, None, b"v", None, value) in range(4)
        with pytest.raises(ValueError):
            producer._partition("t", 4, "some key", b"v", key, value)


def test_a_flush_after_the_close_finds_nothing_to_do(servers):
    for kind in ({}, {"linger_ms": 5}, {"acks": "all"}):
        producer = KafkaProducer(bootstrap_servers=servers, **kind)
        producer.send("t", b"x")
        producer.close()
        assert producer.flush() is None and producer.flush(timeout=1) is None


def test_a_group_needs_an_assignor(servers):
    with pytest.raises(KafkaConfigurationError, match="Coordinator requires assignors"):
        KafkaConsumer(bootstrap_servers=servers, group_id="g", partition_assignment_strategy=[])
    KafkaConsumer(bootstrap_servers=servers, partition_assignment_strategy=[]).close()


@pytest.mark.parametrize("there", [MagicMock(), None])
def test_what_tests_put_in_place_of_kafka_is_no_hindrance(monkeypatch, there):
    before = {name for name in sys.modules if name.split(".")[0] == "kafka"}
    monkeypatch.setitem(sys.modules, "kafka.vendor.six.moves", there)
    kafkalite.install_as_kafka()
    try:
        kafka = importlib.import_module("kafka")
        assert kafka is kafkalite
        assert importlib.import_module("kafka.vendor.six.moves").range is range
    finally:
        _install.uninstall()
    assert {name for name in sys.modules if name.split(".")[0] == "kafka"} <= before


def offsets(consumer, **how):
    return [(r.topic, r.partition, r.offset) for rows in consumer.poll(20, **how).values() for r in rows]


def test_positions_stay_when_they_are_not_to_be_updated(servers):
    with KafkaProducer(bootstrap_servers=servers) as producer:
        for n in range(4):
            producer.send("t", b"%d" % n)
    consumer = KafkaConsumer("t", bootstrap_servers=servers, auto_offset_reset="earliest", group_id="g")
    polls = iter(lambda: offsets(consumer, max_records=2), None)
    assert next(found for found in polls if found) == [("t", 0, 0), ("t", 0, 1)]
    for _ in range(3):
        assert offsets(consumer, max_records=1, update_offsets=False) == [("t", 0, 2)]
    assert consumer.position(TopicPartition("t", 0)) == 2
    consumer.close()
    with KafkaConsumer("t", bootstrap_servers=servers, group_id="g") as consumer:
        assert next(consumer).offset == 2, "what was only looked at is not committed"


@pytest.mark.parametrize("how", ["names", "pattern", "partitions"])
def test_a_deleted_topic_is_no_error_of_the_others(servers, admin, how):
    """kafka-python's poll() tells none: it waits for the topic, and reads on what there is."""
    producer = KafkaProducer(bootstrap_servers=servers)
    consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    admin.create_topics([NewTopic("u", 1, 1)])
    gone, kept = TopicPartition("t", 0), TopicPartition("u", 0)

    def until(wanted):
        seen = []
        while len(seen) < len(wanted):
            seen += offsets(consumer)
        assert sorted(seen) == wanted

    producer.send("t", b"1", partition=0)
    if how == "names":
        consumer.subscribe(["t", "u"])
    elif how == "pattern":
        consumer.subscribe(pattern="[tu]$")
    else:
        consumer.assign([gone, kept])
    until([("t", 0, 0)])
    admin.delete_topics(["t"])
    assert offsets(consumer) == []
    producer.send("u", b"1")
    until([("u", 0, 0)])
    if how == "partitions":
        assert consumer.assignment() == {gone, kept}
    # Made anew at once: no look at the names could tell that it is another one.
    admin.create_topics([NewTopic("t", 1, 1)])
    producer.send("t", b"2", partition=0)
    until([("t", 0, 0)])
    admin.delete_topics(["t"])
    admin.create_topics([NewTopic("t", 1, 1)])
    producer.send("t", b"3", partition=0)
    until([("t", 0, 0)])
    assert consumer.assignment() == {gone, kept}
    consumer.unsubscribe()
    assert consumer.assignment() == set()
    consumer.close()


@pytest.mark.parametrize("kind", [{"linger_ms": 20}, {"acks": "all", "linger_ms": 20}])
@pytest.mark.parametrize("raises", [SystemExit, KeyboardInterrupt])
def test_a_callback_that_wants_to_exit_is_no_outcome_of_the_other_records(servers, kind, raises, caplog):
    """All of them are in one batch, and in the log."""
    def leave(_):
        raise raises("enough")

    producer = KafkaProducer(bootstrap_servers=servers, **kind)
    futures = [producer.send("t", b"%d" % n).add_callback(leave) for n in range(3)]
    refused = [producer.send("no name", b"x").add_errback(leave) for _ in range(2)]
    producer.flush()
    assert [future.value.offset for future in futures] == [0, 1, 2]
    assert [type(future.exception).__name__ for future in refused] == ["InvalidTopicError"] * 2
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [raises] * 5
    assert producer.send("t", b"3").get(timeout=10).offset == 3
    producer.close()


@pytest.mark.parametrize("how", ["names", "pattern", "partitions", "no group"])
def test_a_consumer_that_is_let_go_leaves_its_group(servers, how):
    """Without a garbage collection: the next one would wait for one that does not poll."""
    with KafkaProducer(bootstrap_servers=servers) as producer:
        producer.send("t", b"x")
    gc.collect()
    gc.disable()
    try:
        group = None if how == "no group" else "g"
        consumer = KafkaConsumer(bootstrap_servers=servers, group_id=group, auto_offset_reset="earliest")
        if how == "pattern":
            consumer.subscribe(pattern="t", listener=Listener())
        elif how == "partitions":
            consumer.assign([TopicPartition("t", 0)])
        else:
            consumer.subscribe(["t"], listener=Listener())
        assert next(consumer).value == b"x"
        consumer.metrics()
        if group is not None:
            consumer.commit()
            consumer.commit_async()
            consumer.poll(0)
        there = weakref.ref(consumer)
        del consumer
        assert there() is None
    finally:
        gc.enable()


class Listener(kafkalite.ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        pass


DAEMON = """
import sys, threading, kafkalite
producer = kafkalite.KafkaProducer(bootstrap_servers="file:data", **eval(sys.argv[2]))
producer.send("t", b"x").get(10)
consumer = kafkalite.KafkaConsumer("t", bootstrap_servers="file:data", group_id="g", auto_offset_reset="earliest")
begun = threading.Event()
def poll():
    while True:
        if consumer.poll(100):
            begun.set()
def iterate():
    for record in consumer:
        begun.set()
    print("the end was told")
def send():
    while True:
        producer.send("t", b"x")
        begun.set()
threading.Thread(target=globals()[sys.argv[1]], daemon=True).start()
begun.wait(30)
"""


@pytest.mark.parametrize("loop, kind", [("poll", {}), ("iterate", {}), ("send", {}), ("send", {"acks": "all"})])
def test_a_daemon_thread_does_not_see_the_end_of_the_interpreter(run_python, loop, kind):
    done = run_python(DAEMON, loop, repr(kind))
    assert done.stdout == done.stderr == ""


LOGS = """
import logging, sys, kafkalite
kafkalite.install_as_kafka()
if sys.argv[1] != "nothing":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
if sys.argv[1] == "quiet":
    logging.getLogger("kafka").setLevel(logging.ERROR)
from kafka import KafkaProducer
with KafkaProducer(bootstrap_servers="file:data") as producer:
    producer.send("t", b"x").add_callback(lambda _: 1 / 0)
"""


@pytest.mark.parametrize("setup, levels", [("nothing", set()), ("quiet", {"ERROR"}), ("all", {"ERROR", "INFO"})])
def test_logging_is_set_up_as_for_kafka_python(run_python, setup, levels):
    told = run_python(LOGS, setup).stderr
    assert {word for word in ("INFO", "WARNING", "ERROR") if word in told} == levels
    assert ("ZeroDivisionError" in told) == ("ERROR" in levels)


def test_a_coordinator_is_asked(servers, admin):
    producer = KafkaProducer(bootstrap_servers=servers)
    assert str(producer._metadata) == "ClusterMetadata(brokers: 1, topics: 1)"
    producer.send("t", b"x", partition=0)
    place, other = TopicPartition("t", 0), TopicPartition("t", 1)
    consumer = KafkaConsumer("t", bootstrap_servers=servers, group_id="g", auto_offset_reset="earliest")
    assert next(consumer).value == b"x"
    consumer.commit({place: 1})
    coordinator = consumer._coordinator
    assert coordinator.member_id == consumer.group_metadata().member_id != ""
    assert coordinator.coordinator_id == 0 and not coordinator.coordinator_unknown()
    assert {p: o.offset for p, o in coordinator.fetch_committed_offsets([place, other]).items()} == {place: 1}
    assert coordinator.fetch_committed_offsets([]) == {}
    consumer.close()
