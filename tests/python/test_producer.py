# SPDX-License-Identifier: MIT
"""KafkaProducer: what kafka-python's producer does, over a store."""
import json
import os
import threading
import time

import pytest

import kafkalite
from kafkalite import KafkaProducer, TopicPartition
from kafkalite.errors import (
    IllegalStateError,
    InvalidTopicError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from kafkalite.serializer import Serializer

# A producer that sends at once, and three that gather.
KINDS = [{}, {"acks": "all"}, {"linger_ms": 2}, {"compression_type": "lz4"}]


@pytest.fixture(params=KINDS, ids=str)
def producer(request, servers):
    made = KafkaProducer(bootstrap_servers=servers, **request.param)
    yield made
    made.close()


def stored(log, topic="t"):
    return list(log.topic(topic).read())


def test_metadata(log, producer):
    now = time.time() * 1000
    future = producer.send("t", value=b"Simple value", key=b"Simple key", timestamp_ms=9999999,
                           headers=[("Header Key", b"Header Value")], partition=0)
    record = future.get(timeout=10)
    assert record == ("t", 0, TopicPartition("t", 0), 0, 9999999, -1, None, 10, 12, 22)
    assert record.topic_partition.topic == "t" and future.succeeded() and future.value is record
    plain = producer.send("t", b"x").get(10)
    assert plain.serialized_key_size == -1 and plain.serialized_header_size == -1 and plain.offset == 1
    assert abs(plain.timestamp - now) < 60_000
    assert [(r.offset, r.timestamp) for r in stored(log)] == [(0, 9999999), (1, plain.timestamp)]


def test_a_topic_appears_on_its_first_use(log, producer):
    producer.send("new", b"x").get(10)
    assert log.topic("new").partitions == 1
    assert producer.partitions_for("newer") == {0} and "newer" in log


def test_topics_may_have_to_be_there(log, servers):
    with KafkaProducer(bootstrap_servers=servers, allow_auto_create_topics=False) as producer:
        future = producer.send("t", b"x")
        assert isinstance(future.exception, UnknownTopicOrPartitionError)
    assert log.topic_names() == []


def test_arguments_that_cannot_be_raise_at_once(log, producer):
    producer.send("t", b"x").get(10)
    for arguments in (
        dict(value="text"),
        dict(value=b"", key="text"),
        dict(),
        dict(value=b"", headers={"a": b"b"}),
        dict(value=b"", headers=[("a", "text")]),
        dict(value=b"", headers=[["a", b"b"]]),
        dict(value=b"", partition=5),
        dict(value=b"", partition=-1),
    ):
        with pytest.raises(AssertionError):
            producer.send("t", **arguments)
    with pytest.raises(TypeError):
        producer.send("t", "text")
    with pytest.raises(ValueError):
        producer.send("t", b"", partition=5)
    assert log.topic("t").end_offset() == 1


def test_what_the_store_refuses_comes_in_the_future(log, producer):
    for topic, value, error in (
        ("bad topic", b"", InvalidTopicError),
        ("t", bytes(1 << 20), MessageSizeTooLargeError),
    ):
        seen = []
        future = producer.send(topic, value).add_callback(seen.append).add_errback(seen.append)
        with pytest.raises(error):
            future.get(10)
        assert len(seen) == 1 and seen[0] is future.exception and future.failed()
    assert producer.metrics()["producer-metrics"]["record-error-total"] >= 1


def test_one_bad_record_fails_alone(log, servers):
    log.create_topic("t", config={"max.message.bytes": 1000})
    with KafkaProducer(bootstrap_servers=servers, linger_ms=10_000) as producer:
        futures = [producer.send("t", bytes(size)) for size in (1, 2000, 2, 3)]
        producer.flush()
        assert all(future.is_done for future in futures)
        assert [f.succeeded() for f in futures] == [True, False, True, True]
        assert isinstance(futures[1].exception, MessageSizeTooLargeError)
    assert [len(r.value) for r in stored(log)] == [1, 2, 3]


def test_serializers(log, servers):
    class WithTopic(Serializer):
        closed = 0

        def serialize(self, topic, value):
            return f"{topic}:{value}".encode()

        def close(self):
            self.closed += 1

    class WithHeaders:
        def serialize(self, topic, headers, value):
            return f"{topic}-{value}".encode()

    keys = WithTopic()
    for value_serializer, expected in ((lambda v: json.dumps(v).encode(), b"null"), (WithHeaders(), b"t-None")):
        with KafkaProducer(bootstrap_servers=servers, key_serializer=keys, value_serializer=value_serializer) as p:
            p.send("t", None, key=1).get(10)
        assert stored(log)[-1][4:6] == (b"t:1", expected)
    assert keys.closed == 2
    with KafkaProducer(bootstrap_servers=servers, key_serializer=str.encode) as producer:
        with pytest.raises(TypeError):
            producer.send("t", b"no key")


def test_partitioners(log, servers):
    log.create_topic("t", partitions=5)
    seen = []

    def last(key, every, available):
        seen.append((key, every, available))
        return every[-1]

    class Newer:
        def partition(self, topic, key, key_bytes, value, value_bytes, cluster):
            return min(cluster.partitions_for_topic(topic)) + 1

    for partitioner, expected in ((last, 4), (Newer(), 1)):
        with KafkaProducer(bootstrap_servers=servers, partitioner=partitioner) as producer:
            assert producer.send("t", b"x", key=b"k").get(10).partition == expected
            assert producer.send("t", b"x", partition=3).get(10).partition == 3
    assert seen == [(b"k", [0, 1, 2, 3, 4], [0, 1, 2, 3, 4])]
    from kafkalite.partitioner import DefaultPartitioner

    for partitioner in (None, DefaultPartitioner()):
        with KafkaProducer(bootstrap_servers=servers, partitioner=partitioner) as producer:
            for n in range(20):
                key = b"key-%d" % n
                assert producer.send("t", b"", key=key).get(10).partition == DefaultPartitioner()(key, range(5), [])


def test_order_is_kept(log, producer):
    futures = [producer.send("t", b"%d" % n) for n in range(2000)]
    producer.flush()
    assert [f.get(0).offset for f in futures] == list(range(2000))
    assert [int(r.value) for r in stored(log)] == list(range(2000))


def test_lingering_and_flush(log, servers):
    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=60_000)
    future = producer.send("t", b"x")
    with pytest.raises(KafkaTimeoutError):
        future.get(timeout=0.05)
    assert not future.is_done
    assert producer.flush() is None and future.is_done
    full = KafkaProducer(bootstrap_servers=servers, linger_ms=60_000, batch_size=1000)
    assert [full.send("t", bytes(500)) for _ in range(3)][0].get(10).offset == 1
    again = producer.send("t", b"y")
    producer.close()
    assert again.succeeded()
    full.close()


def test_a_batch_is_one_call(log, servers):
    """What gathers goes together: so many records, far fewer batches."""
    with KafkaProducer(bootstrap_servers=servers, compression_type="zstd", linger_ms=20) as producer:
        for n in range(1000):
            producer.send("t", b"the same again and again %d" % (n % 3))
    assert log.topic("t").end_offset() == 1000
    used = {s.name: s.value for s in log.stats() if s.topic == "t"}
    assert len(stored(log)) == 1000 and used
    assert log.topic("t").segments()[0].used_bytes < 20_000


def test_acks_all_means_durable(log, servers):
    with KafkaProducer(bootstrap_servers=servers, acks="all") as producer:
        assert producer.config["acks"] == -1
        futures = [producer.send("t", b"x") for _ in range(100)]
        futures[-1].get(30)
        assert log.topic("t").durable_offset() == 100


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd", None])
def test_all_codecs_are_taken(log, servers, codec):
    with KafkaProducer(bootstrap_servers=servers, compression_type=codec) as producer:
        producer.send("t", b"x" * 1000).get(10)
    assert stored(log)[0].value == b"x" * 1000


def test_a_codec_that_was_not_built_in_is_none(log, servers, monkeypatch, caplog):
    monkeypatch.setattr(KafkaProducer, "_codec", lambda self: "lz5")
    with KafkaProducer(bootstrap_servers=servers, compression_type="lz4") as producer:
        producer.send("t", b"x" * 1000).get(10)
    assert stored(log)[0].value == b"x" * 1000 and "no lz5" in caplog.text


def test_a_callback_may_send(log, servers):
    for kind in KINDS:
        with KafkaProducer(bootstrap_servers=servers, **kind) as producer:
            done = threading.Event()
            producer.send("t", b"1").add_callback(
                lambda m: producer.send("t", b"2").add_callback(lambda m: (producer.flush(), done.set())))
            assert done.wait(10)


def test_memory_is_bounded(log, servers):
    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=60_000, buffer_memory=10_000, batch_size=1 << 30,
                             max_block_ms=20_000)
    futures = [producer.send("t", bytes(1000)) for _ in range(40)]
    producer.flush()
    assert all(f.succeeded() for f in futures)
    assert isinstance(producer.send("t", bytes(20_000)).exception, MessageSizeTooLargeError)
    producer.close()


def test_closing(log, servers):
    for kind in KINDS:
        producer = KafkaProducer(bootstrap_servers=servers, **kind)
        assert producer.bootstrap_connected()
        producer.close()
        producer.close(timeout=1)
        assert not producer.bootstrap_connected()
        for call in (lambda: producer.send("t", b""), lambda: producer.partitions_for("t")):
            with pytest.raises(AssertionError):
                call()
            with pytest.raises(IllegalStateError):
                call()
    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=60_000)
    future = producer.send("t", b"x")
    producer.close(timeout=0)
    assert future.is_done
    with KafkaProducer(bootstrap_servers=servers, linger_ms=60_000) as producer:
        future = producer.send("t", b"y")
    assert future.succeeded()
    with pytest.raises(ValueError):
        KafkaProducer(bootstrap_servers=servers).close(timeout=-1)


def test_options(servers):
    with pytest.raises(AssertionError, match="Unrecognized configs.*nonsense"):
        KafkaProducer(bootstrap_servers=servers, nonsense=1)
    with pytest.raises(ValueError):
        KafkaProducer(bootstrap_servers=servers, nonsense=1)
    with pytest.raises(ValueError, match="Not supported codec"):
        KafkaProducer(bootstrap_servers=servers, compression_type="rar")
    for secure in ({"security_protocol": "SSL"}, {"sasl_mechanism": "PLAIN"}, {"ssl_cafile": "/x"}):
        with pytest.raises(KafkaConfigurationError):
            KafkaProducer(bootstrap_servers=servers, **secure)
    with pytest.raises(KafkaConfigurationError, match="transactions"):
        KafkaProducer(bootstrap_servers=servers, transactional_id="t")
    with KafkaProducer(bootstrap_servers=servers, api_version="0.10.1", retries=float("inf"), enable_idempotence=True,
                       delivery_timeout_ms=1, client_dns_lookup="x", request_timeout_ms=1) as producer:
        assert producer.config["api_version"] == (0, 10, 1) and producer.config["client_id"].startswith("kafka-python-")
        assert producer.max_usable_produce_magic(producer.config["api_version"]) == 2


def test_servers_name_a_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, told in (
        ("file:./one", "one"),
        (["file:" + str(tmp_path / "two")], "two"),
        ("file://" + str(tmp_path / "three"), "three"),
        (str(tmp_path / "four"), "four"),
        ("localhost:9092", "kafkalite-data"),
        (["a:9092", "b:9092"], "kafkalite-data"),
        ("a:9092,b:9092", "kafkalite-data"),
    ):
        with KafkaProducer(bootstrap_servers=name) as producer:
            producer.send("t", b"x").get(10)
        assert os.path.exists(tmp_path / told / "catalog.mdb"), name
    monkeypatch.setenv("KAFKALITE_DIR", str(tmp_path / "five"))
    with KafkaProducer() as producer:
        producer.send("t", b"x")
    assert kafkalite.open(tmp_path / "five", create=False).topic_names() == ["t"]


def test_threads_share_a_producer(log, producer):
    def send(who):
        for n in range(200):
            producer.send("t", b"%d" % n, key=b"%d" % who)

    threads = [threading.Thread(target=send, args=(who,)) for who in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    producer.flush()
    last = {}
    for record in stored(log):
        assert int(record.value) == last.get(record.key, -1) + 1
        last[record.key] = int(record.value)
    assert len(last) == 5 and set(last.values()) == {199}


def test_a_producer_that_is_collected_sends_what_it_has(log, servers):
    future = KafkaProducer(bootstrap_servers=servers, linger_ms=60_000).send("t", b"x")
    assert future.get(timeout=10).offset == 0
    deadline = time.monotonic() + 10
    while "kafkalite-producer" in [t.name for t in threading.enumerate()] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "kafkalite-producer" not in [t.name for t in threading.enumerate()], "its thread ends"


def test_a_callback_may_close(log, servers):
    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=5)
    closed = threading.Event()

    def close(_):
        producer.send("t", b"2")
        producer.close()
        closed.set()

    producer.send("t", b"1").add_callback(close)
    assert closed.wait(10)
    assert [r.value for r in stored(log)] == [b"1", b"2"]


def test_a_collection_inside_a_future_waits_for_nobody(log, servers):
    """The garbage collector may run while the lock of the futures is held."""
    from kafkalite import future as module

    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=60_000)
    future = producer.send("t", b"x")
    with module._lock:
        del producer
    assert future.get(timeout=10).offset == 0
