# SPDX-License-Identifier: MIT
"""KafkaConsumer without rebalances: reading, positions, commits, and their errors."""
import json
import threading
import time

import pytest

from kafkalite import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafkalite.consumer.fetcher import ConsumerRecord
from kafkalite.errors import (
    IllegalStateError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from kafkalite.serializer import Deserializer
from kafkalite.structs import ConsumerGroupMetadata, OffsetAndTimestamp

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


@pytest.fixture
def producer(log, servers):
    log.create_topic("t", partitions=2)
    with KafkaProducer(bootstrap_servers=servers) as made:
        yield made


@pytest.fixture
def consumer_of(servers):
    made = []

    def make(*topics, **options):
        options = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 20, **options}
        made.append(KafkaConsumer(*topics, bootstrap_servers=servers, **options))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


def fill(producer, count, partition=0):
    for n in range(count):
        producer.send("t", b"%d" % n, partition=partition)


def test_records_are_as_kafka_python_has_them(producer, consumer_of):
    producer.send("t", b"value", key=b"key", headers=[("a", b"1"), ("b", b"")], timestamp_ms=77, partition=1)
    producer.send("t", None, key=b"", partition=1)
    records = list(consumer_of("t"))
    assert records[0] == ConsumerRecord("t", 1, 0, 77, 0, b"key", b"value", [("a", b"1"), ("b", b"")], None, 3, 5, 3)
    assert records[1][5:] == (b"", None, [], None, 0, -1, -1)
    assert type(records[0].headers) is list and records[0].headers is not records[1].headers


def test_append_time_is_told(log, servers, consumer_of):
    log.create_topic("t", config={"message.timestamp.type": "LogAppendTime"})
    with KafkaProducer(bootstrap_servers=servers) as producer:
        producer.send("t", b"x", timestamp_ms=5)
    record = next(consumer_of("t"))
    assert record.timestamp_type == 1 and record.timestamp > 1_600_000_000_000


def test_iteration_stops_and_goes_on(producer, consumer_of):
    consumer = consumer_of("t", consumer_timeout_ms=60)
    began = time.monotonic()
    assert list(consumer) == []
    assert 0.06 <= time.monotonic() - began < 5
    with pytest.raises(StopIteration):
        next(consumer)
    fill(producer, 5)
    assert [r.offset for r in consumer] == list(range(5))
    fill(producer, 3)
    assert [r.offset for r in consumer] == [5, 6, 7]
    consumer.close()
    assert list(consumer) == []


def test_a_commit_in_the_loop_commits_this_record(producer, consumer_of):
    fill(producer, 10)
    consumer = consumer_of("t", group_id="g", enable_auto_commit=False)
    for record in consumer:
        consumer.commit()
        assert consumer.position(T0) == record.offset + 1
        assert consumer.committed(T0) == record.offset + 1
        if record.offset == 4:
            break
    consumer.close()
    again = consumer_of("t", group_id="g", enable_auto_commit=False)
    assert next(again).offset == 5


def test_poll(producer, consumer_of):
    consumer = consumer_of("t", max_poll_records=4)
    assert consumer.poll() == {} and consumer.poll(timeout_ms=1) == {}
    fill(producer, 6, 0)
    fill(producer, 6, 1)
    seen = []
    while len(seen) < 12:
        polled = consumer.poll(timeout_ms=1000)
        assert 1 <= sum(map(len, polled.values())) <= 4
        for place, records in polled.items():
            assert all((r.topic, r.partition) == place for r in records)
            seen += records
    assert sorted((r.partition, r.offset) for r in seen) == [(p, n) for p in (0, 1) for n in range(6)]
    fill(producer, 3, 0)
    assert [r.offset for r in consumer.poll(1000, max_records=1)[T0]] == [6]
    assert [r.offset for r in consumer.poll(1000)[T0]] == [7, 8]
    for bad in ({"timeout_ms": -1}, {"max_records": 0}, {"max_records": "5"}):
        with pytest.raises(AssertionError):
            consumer.poll(**bad)
    with pytest.raises(ValueError):
        consumer.poll(timeout_ms=-1)
    consumer.close()
    with pytest.raises(AssertionError):
        consumer.poll()
    with pytest.raises(IllegalStateError):
        consumer.poll()


def test_poll_returns_as_soon_as_there_is_something(producer, consumer_of):
    consumer = consumer_of("t")
    consumer.poll()
    threading.Timer(0.1, producer.send, ["t", b"x"]).start()
    began = time.monotonic()
    assert consumer.poll(timeout_ms=30_000)
    assert time.monotonic() - began < 10


def test_latest_is_the_default(producer, servers):
    fill(producer, 3)
    with KafkaConsumer("t", bootstrap_servers=servers, consumer_timeout_ms=20) as consumer:
        assert list(consumer) == []
        producer.send("t", b"new", partition=0)
        assert [r.value for r in consumer] == [b"new"]
    with KafkaConsumer("unheard-of", bootstrap_servers=servers, consumer_timeout_ms=20) as consumer:
        assert list(consumer) == []
        producer.send("unheard-of", b"first")
        assert [r.value for r in consumer] == [b"first"]


def test_no_reset_is_an_error(producer, consumer_of, log):
    fill(producer, 5)
    for reset in ("none", "whatever"):
        consumer = consumer_of(auto_offset_reset=reset, group_id="g")
        assert consumer.config["auto_offset_reset"] == "none"
        consumer.assign([T0])
        with pytest.raises(NoOffsetForPartitionError):
            consumer.poll(100)
    consumer.seek(T0, 3)
    assert [r.offset for r in consumer.poll(100)[T0]] == [3, 4]
    consumer.seek(T0, 1)
    log.topic("t").delete_records(0, before=4)
    with pytest.raises(OffsetOutOfRangeError):
        consumer.poll(100)
    old = consumer_of("t", auto_offset_reset="smallest")
    assert old.config["auto_offset_reset"] == "earliest" and next(old).offset == 4


def test_deserializers(producer, consumer_of):
    class WithTopic(Deserializer):
        closed = 0

        def deserialize(self, topic, bytes_):
            return topic, bytes_

        def close(self):
            self.closed += 1

    keys = WithTopic()
    producer.send("t", b"[1]", partition=0)
    consumer = consumer_of("t", key_deserializer=keys, value_deserializer=json.loads)
    record = next(consumer)
    assert record.key == ("t", None) and record.value == [1] and record.serialized_value_size == 3
    consumer.close()
    assert keys.closed == 1


@pytest.mark.parametrize("how", ["iterate", "poll"])
def test_a_bad_record_is_met_behind_the_good_ones(producer, consumer_of, how):
    for value in (b"1", b"2", b"bad", b"4"):
        producer.send("t", value, partition=0)
    consumer = consumer_of("t", value_deserializer=json.loads)

    def take():
        if how == "iterate":
            return [next(consumer).value]
        return [r.value for records in consumer.poll(100).values() for r in records]

    seen = []
    while len(seen) < 2:
        seen += take()
    assert seen == [1, 2]
    for _ in range(2):
        with pytest.raises(ValueError):
            take()
        assert consumer.position(T0) == 2
    consumer.seek(T0, 3)
    assert take() == [4]


def test_seeking(producer, consumer_of):
    fill(producer, 10)
    consumer = consumer_of("t")
    assert next(consumer).offset == 0
    consumer.seek(T0, 7)
    assert next(consumer).offset == 7 and consumer.position(T0) == 8
    consumer.seek_to_beginning(T0)
    assert consumer.position(T0) == 0 and [r.offset for r in consumer.poll(100, max_records=2)[T0]] == [0, 1]
    consumer.seek_to_end()
    assert consumer.position(T0) == 10 and consumer.position(T1) == 0 and consumer.poll(10) == {}
    consumer.seek_to_beginning()
    assert len(consumer.poll(100)[T0]) == 10
    for call, error in (
        (lambda: consumer.seek(("t", 0), 1), TypeError),
        (lambda: consumer.seek(T0, -1), AssertionError),
        (lambda: consumer.seek(T0, -1), ValueError),
        (lambda: consumer.seek(T0, "1"), AssertionError),
        (lambda: consumer.seek(TopicPartition("t", 9), 1), AssertionError),
        (lambda: consumer.seek(TopicPartition("t", 9), 1), ValueError),
        (lambda: consumer.position(("t", 0)), TypeError),
        (lambda: consumer.position(TopicPartition("t", 9)), AssertionError),
        (lambda: consumer.position(TopicPartition("t", 9)), IllegalStateError),
        (lambda: consumer.seek_to_end("t"), TypeError),
        (lambda: consumer.pause(TopicPartition("t", 9)), AssertionError),
        (lambda: consumer_of().seek_to_end(), AssertionError),
    ):
        with pytest.raises(error):
            call()


def test_pausing(producer, consumer_of):
    consumer = consumer_of("t")
    fill(producer, 3, 0)
    fill(producer, 3, 1)
    consumer.poll()
    consumer.seek_to_beginning()
    consumer.pause(T0)
    assert consumer.paused() == {T0}
    assert {r.partition for r in consumer} == {1}
    consumer.resume(T0)
    assert consumer.paused() == set()
    assert [r.offset for r in consumer] == [0, 1, 2]
    consumer.pause(T0)
    consumer.unsubscribe()
    assert consumer.paused() == set()
    consumer.assign([T0])
    assert consumer.paused() == set()


def test_subscriptions(producer, consumer_of, log):
    consumer = consumer_of("t")
    told = consumer.subscription()
    assert told == {"t"}
    told.add("more")
    assert consumer.subscription() == {"t"} and consumer.assignment() == set()
    consumer.poll(0)
    assert consumer.assignment() == {T0, T1}
    consumer.subscribe(["a", "b"])
    assert consumer.subscription() == {"a", "b"} and {"a", "b"} <= set(log.topic_names())
    consumer.subscribe("t")
    assert consumer.subscription() == {"t"}
    for call, error in (
        (lambda: consumer.subscribe(), AssertionError),
        (lambda: consumer.subscribe(["t"], pattern="x"), IllegalStateError),
        (lambda: consumer.subscribe(["bad topic"]), ValueError),
        (lambda: consumer.subscribe([""]), ValueError),
        (lambda: consumer.subscribe([None]), TypeError),
        (lambda: consumer.subscribe(["t"], listener=object()), TypeError),
        (lambda: consumer.assign([T0]), IllegalStateError),
    ):
        with pytest.raises(error):
            call()
    consumer.unsubscribe()
    assert consumer.subscription() is None and consumer.assignment() == set()
    consumer.assign([T1])
    assert consumer.assignment() == {T1}
    with pytest.raises(IllegalStateError):
        consumer.subscribe(["t"])
    with pytest.raises(TypeError):
        consumer.assign([("t", 0)])
    consumer.assign([])
    consumer.subscribe(["t"])
    assert consumer_of().subscription() is None
    assert list(consumer_of()) == []


def test_new_partitions_and_matching_topics_are_picked_up(producer, consumer_of, log):
    consumer = consumer_of("t")
    assert list(consumer) == []
    log.topic("t").add_partitions(3)
    producer.send("t", b"new partition", partition=2)
    matching = consumer_of()
    matching.subscribe(pattern="^log-[0-9]")
    assert matching.subscription() == set()
    producer.send("log-1-and-more", b"new topic")
    producer.send("a-log-1", b"not this one")
    deadline = time.monotonic() + 10
    seen = []
    while len(seen) < 2 and time.monotonic() < deadline:
        seen += [r.value for c in (consumer, matching) for records in c.poll(50).values() for r in records]
    assert sorted(seen) == [b"new partition", b"new topic"]
    assert matching.subscription() == {"log-1-and-more"}


def test_what_there_is(producer, consumer_of):
    consumer = consumer_of()
    for stamp in (1000, 2000, 3000):
        producer.send("t", b"x", partition=0, timestamp_ms=stamp)
    assert consumer.topics() == {"t"} and consumer.partitions_for_topic("t") == {0, 1}
    assert consumer.partitions_for_topic("nope") is None and consumer.partitions_for_topic("bad name") is None
    assert consumer.beginning_offsets([T0, T1]) == {T0: 0, T1: 0}
    assert consumer.end_offsets([T0, T1]) == {T0: 3, T1: 0}
    assert consumer.offsets_for_times({T0: 1500, T1: 0}) == {T0: OffsetAndTimestamp(1, 2000), T1: None}
    assert consumer.offsets_for_times({T0: 2000}) == {T0: OffsetAndTimestamp(1, 2000, -1)} == {T0: (1, 2000)}
    assert consumer.offsets_for_times({}) == {} and consumer.offsets_for_times({T0: 9000}) == {T0: None}
    with pytest.raises(ValueError):
        consumer.offsets_for_times({T0: -1})
    with pytest.raises(KafkaTimeoutError):
        consumer.offsets_for_times({TopicPartition("t", 100): 0})
    with pytest.raises(KafkaTimeoutError):
        consumer.end_offsets([TopicPartition("t", 100)])
    consumer.assign([T0])
    assert consumer.highwater(T0) is None
    consumer.poll(100)
    assert consumer.highwater(T0) == 3
    metrics = consumer.metrics()["consumer-fetch-manager-metrics"]
    assert metrics["records-consumed-total"] == 3 and metrics["records-lag-max"] == 0


def test_commits(producer, consumer_of):
    fill(producer, 20)
    consumer = consumer_of(group_id="g")
    consumer.assign([T0, T1])
    assert consumer.committed(T0) is None
    consumer.commit({T0: OffsetAndMetadata(5, "note")})
    assert consumer.committed(T0) == 5
    assert consumer.committed(T0, metadata=True) == OffsetAndMetadata(5, "note")
    consumer.commit({T0: OffsetAndMetadata(6, "note", 3), T1: 0})
    consumer.commit({T0: 7})
    assert consumer.committed(T0) == 7 and consumer.committed(T1) == 0
    assert consumer.poll(100) and consumer.position(T0) == 20
    consumer.commit()
    assert consumer.committed(T0) == 20
    seen = []
    future = consumer.commit_async({T0: OffsetAndMetadata(9, "")}, callback=lambda *a: seen.append(a))
    other = consumer.commit_async({T0: OffsetAndMetadata(8, "")})
    deadline = time.monotonic() + 10
    while not other.is_done and time.monotonic() < deadline:
        consumer.poll(10)
    assert future.succeeded() and other.succeeded() and consumer.committed(T0) == 8
    assert seen == [({T0: OffsetAndMetadata(9, "")}, True)]
    for bad in ({T0: "5"}, {("t", 0): 5}, [T0], {T0: (5, "")}, {T0: -1}):
        with pytest.raises(AssertionError):
            consumer.commit(bad)
    with pytest.raises(TypeError):
        consumer.committed(("t", 0))
    with pytest.raises(OffsetOutOfRangeError):
        consumer.commit({T0: 21})
    groupless = consumer_of("t")
    for call in (groupless.commit, groupless.commit_async, lambda: groupless.committed(T0)):
        with pytest.raises(AssertionError):
            call()
        with pytest.raises(IllegalStateError):
            call()


def test_commits_wait_for_their_outcome_at_the_close(producer, consumer_of, log):
    fill(producer, 5)
    consumer = consumer_of(group_id="g", enable_auto_commit=False)
    consumer.assign([T0])
    future = consumer.commit_async({T0: 4})
    consumer.close()
    assert future.succeeded() and log.groups["g"].committed()[T0].offset == 4


def test_automatic_commits(producer, consumer_of, log):
    fill(producer, 10)
    told = []
    consumer = consumer_of("t", group_id="g", auto_commit_interval_ms=50, max_poll_records=3,
                           default_offset_commit_callback=lambda *a: told.append(a))
    committed = lambda: log.groups["g"].committed().get(T0, (None,))[0]  # noqa: E731
    assert [next(consumer).offset for _ in range(2)] == [0, 1]
    consumer.close()
    assert committed() == 2, "what was handed out, not what was fetched"
    assert told[-1][0][T0].offset == 2 and told[-1][1] is True
    consumer = consumer_of("t", group_id="g", auto_commit_interval_ms=50)
    assert next(consumer).offset == 2
    deadline = time.monotonic() + 10
    while committed() != 10 and time.monotonic() < deadline:
        consumer.poll(20)
    assert committed() == 10, "in time, by a poll"
    fill(producer, 1)
    assert next(consumer).offset == 10
    consumer.close(autocommit=False)
    assert committed() == 10
    with consumer_of("t", group_id="g") as consumer:
        assert next(consumer).offset == 10
    assert committed() == 11
    with pytest.raises(ZeroDivisionError):
        fill(producer, 1)
        with consumer_of("t", group_id="g") as consumer:
            assert next(consumer).offset == 11
            1 / 0
    assert committed() == 11
    unsubscribed = consumer_of("t", group_id="g")
    assert next(unsubscribed).offset == 11
    unsubscribed.unsubscribe()
    assert committed() == 12


def test_who_it_is(producer, consumer_of):
    assert consumer_of("t").group_metadata() == ConsumerGroupMetadata(None)
    consumer = consumer_of("t", group_id="g")
    consumer.poll(100)
    told = consumer.group_metadata()
    assert told.group_id == "g" and told.generation_id >= 0 and told.member_id


def test_options(servers, consumer_of):
    for bad in (
        {"nonsense": 1},
        {"request_timeout_ms": 20_000, "fetch_max_wait_ms": 21_000},
        {"connections_max_idle_ms": 10_000, "request_timeout_ms": 40_000},
        {"group_id": "g", "session_timeout_ms": 60_000, "request_timeout_ms": 40_000},
        {"security_protocol": "SASL_SSL"},
        {"ssl_cafile": "ca.pem"},
    ):
        with pytest.raises(KafkaConfigurationError):
            KafkaConsumer(bootstrap_servers=servers, **bad)
    consumer = consumer_of(api_version="0.10", isolation_level="read_committed", client_rack="r", check_crcs=False)
    assert consumer.config["api_version"] == (0, 10) and consumer.bootstrap_connected() and consumer.bootstrap(5)
    assert consumer_of().config["api_version"] >= (2, 0)
    consumer.close()
    assert not consumer.bootstrap_connected() and consumer.assignment() == set()


def test_another_thread_closes_it(producer, consumer_of):
    consumer = consumer_of("t", consumer_timeout_ms=float("inf"))
    seen = []
    thread = threading.Thread(target=lambda: seen.append(list(consumer)))
    thread.start()
    time.sleep(0.05)
    consumer.close()
    thread.join(10)
    assert seen == [[]]
