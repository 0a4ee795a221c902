# SPDX-License-Identifier: MIT
"""The programs that everyone starts with, shaped as their tutorials have them."""
import json
import logging
import threading
import time

import pytest

import kafkalite

log_of_tutorial = logging.getLogger("tutorial")


@pytest.fixture(autouse=True)
def as_kafka(tmp_path, monkeypatch):
    """`kafka` is this package, and localhost:9092 a directory of the test."""
    from kafkalite import _install

    monkeypatch.setenv("KAFKALITE_DIR", str(tmp_path / "data"))
    kafkalite.install_as_kafka()
    yield
    _install.uninstall()


def test_json_in_json_out():
    from kafka import KafkaConsumer, KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=["localhost:9092"],
        value_serializer=lambda x: json.dumps(x).encode("utf-8"),
    )
    for e in range(100):
        producer.send("numtest", value={"number": e})
    producer.flush()
    consumer = KafkaConsumer(
        "numtest",
        bootstrap_servers=["localhost:9092"],
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        group_id="my-group",
        consumer_timeout_ms=300,
        value_deserializer=lambda x: json.loads(x.decode("utf-8")),
    )
    assert [message.value["number"] for message in consumer] == list(range(100))
    consumer.close()


def test_manual_commit_loop():
    from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

    producer = KafkaProducer(bootstrap_servers="localhost:9092")
    for n in range(30):
        producer.send("jobs", key=b"k%d" % n, value=b"%d" % n)
    producer.flush()
    done = []

    def work(stop_at):
        consumer = KafkaConsumer("jobs", group_id="workers", enable_auto_commit=False, auto_offset_reset="earliest",
                                 bootstrap_servers="localhost:9092", max_poll_records=5)
        try:
            idle = 0
            while idle < 3 and len(done) < stop_at:
                records = consumer.poll(timeout_ms=200)
                idle = 0 if records else idle + 1
                for tp, messages in records.items():
                    for message in messages:
                        done.append(int(message.value))
                        offsets = {TopicPartition(message.topic, message.partition):
                                   OffsetAndMetadata(message.offset + 1, None)}
                        consumer.commit(offsets=offsets)
        finally:
            consumer.close()

    work(10)
    work(1000)
    assert done == list(range(30))


class RobustKafkaProducer:
    def __init__(self, servers):
        from kafka import KafkaProducer

        self.producer = KafkaProducer(
            bootstrap_servers=servers, acks="all", retries=3, max_in_flight_requests_per_connection=1,
            compression_type="gzip", batch_size=16384, linger_ms=10, buffer_memory=33554432, partitioner=None,
            key_serializer=lambda k: k.encode("utf-8") if k else None,
            value_serializer=lambda v: json.dumps(v).encode("utf-8"),
        )
        self.delivered, self.failed = 0, 0

    def send_message(self, topic, value, key=None, headers=None):
        from kafka.errors import KafkaError

        kafka_headers = [(k, v.encode("utf-8")) for k, v in (headers or {}).items()]
        try:
            future = self.producer.send(topic, value=value, key=key, headers=kafka_headers)
            future.add_callback(self.on_success)
            future.add_errback(self.on_error)
            return future.get(timeout=10)
        except KafkaError:
            return None

    def on_success(self, record_metadata):
        self.delivered += 1

    def on_error(self, exception):
        self.failed += 1

    def close(self):
        self.producer.flush(timeout=30)
        self.producer.close(timeout=30)


def test_robust_producer():
    producer = RobustKafkaProducer(["localhost:9092"])
    metadata = producer.send_message("orders", {"id": 1}, key="user123", headers={"source": "web"})
    assert (metadata.topic, metadata.offset) == ("orders", 0)
    assert producer.send_message("or ders", {"id": 2}) is None
    producer.close()
    assert (producer.delivered, producer.failed) == (1, 1)


def test_robust_consumer_commits_ints():
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    KafkaProducer(bootstrap_servers="localhost:9092").send("t", b"x").get(10)
    consumer = KafkaConsumer("t", group_id="g", auto_offset_reset="earliest", enable_auto_commit=False)
    for message in consumer:
        consumer.commit({TopicPartition(message.topic, message.partition): message.offset + 1})
        break
    assert consumer.committed(TopicPartition("t", 0)) == 1
    consumer.close()


def test_admin():
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
    from kafka.errors import InvalidPartitionsError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

    admin_client = KafkaAdminClient(bootstrap_servers="localhost:9092", client_id="test")
    topic_list = [NewTopic(name="example_topic", num_partitions=3, replication_factor=1),
                  NewTopic(name="other", num_partitions=1, replication_factor=3, topic_configs={"segment.ms": "5000"})]
    response = admin_client.create_topics(new_topics=topic_list, validate_only=False)
    for topic, error_code, error_message in response.topic_errors:
        assert error_code == 0 and error_message is None, topic
    with pytest.raises(TopicAlreadyExistsError):
        admin_client.create_topics(new_topics=topic_list)
    assert set(admin_client.list_topics()) == {"example_topic", "other"}
    described = admin_client.describe_topics(["example_topic"])[0]
    assert described["topic"] == "example_topic" and len(described["partitions"]) == 3
    admin_client.create_partitions({"example_topic": NewPartitions(total_count=6)})
    with pytest.raises(InvalidPartitionsError):
        admin_client.create_partitions({"example_topic": NewPartitions(total_count=2)})
    configs = admin_client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "other")])
    entries = {entry[0]: entry[1] for entry in configs[0].resources[0][4]}
    assert entries["segment.ms"] == "5000"
    admin_client.delete_topics(topics=["other"])
    with pytest.raises(UnknownTopicOrPartitionError):
        admin_client.delete_topics(topics=["other"])
    admin_client.close()


def test_a_group_of_three():
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
    from kafka.admin import NewTopic

    KafkaAdminClient().create_topics([NewTopic("events", 6, 1)])
    seen, owners, stop = [], {}, threading.Event()
    lock = threading.Lock()

    def consume(name):
        consumer = KafkaConsumer("events", group_id="team", client_id=name, auto_offset_reset="earliest")
        while not stop.is_set():
            for tp, messages in consumer.poll(timeout_ms=100).items():
                with lock:
                    seen.extend((tp.partition, m.offset) for m in messages)
            owners[name] = consumer.assignment()
        consumer.close()

    threads = [threading.Thread(target=consume, args=("member-%d" % n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and sorted(map(len, owners.values())) != [2, 2, 2]:
        time.sleep(0.01)
    producer = KafkaProducer()
    for n in range(600):
        producer.send("events", b"%d" % n, key=b"%d" % n)
    while time.monotonic() < deadline and len(seen) < 600:
        time.sleep(0.01)
    told = KafkaAdminClient().describe_consumer_groups(["team"])[0]
    shared = dict(owners)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert sorted(map(len, shared.values())) == [2, 2, 2] and len(set().union(*shared.values())) == 6
    assert len(seen) == len(set(seen)) == 600, "each record once"
    assert told.state == "Stable" and {m.client_id for m in told.members} == set(owners)


def test_metrics_and_lag():
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    producer = KafkaProducer(bootstrap_servers="localhost:9092")
    for n in range(50):
        producer.send("t", b"x")
    assert producer.metrics()["producer-metrics"]["record-send-total"] == 50
    consumer = KafkaConsumer(bootstrap_servers="localhost:9092", group_id="g", auto_offset_reset="earliest",
                             enable_auto_commit=False)
    partitions = [TopicPartition("t", p) for p in consumer.partitions_for_topic("t")]
    consumer.assign(partitions)
    for _ in range(20):
        next(consumer)
    consumer.commit()
    end_offsets = consumer.end_offsets(partitions)
    lag = {tp: end_offsets[tp] - (consumer.committed(tp) or 0) for tp in partitions}
    assert sum(lag.values()) == 30
    assert consumer.metrics()["consumer-fetch-manager-metrics"]["records-lag-max"] == 30
    consumer.close()


def test_pattern_seek_and_times():
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    producer = KafkaProducer()
    for n in range(10):
        producer.send("awesome-topic", b"%d" % n, timestamp_ms=1000 * n)
    consumer = KafkaConsumer(auto_offset_reset="earliest", consumer_timeout_ms=300)
    consumer.subscribe(pattern="^awesome.*")
    assert len(list(consumer)) == 10
    place = TopicPartition("awesome-topic", 0)
    found = consumer.offsets_for_times({place: 6500})
    consumer.seek(place, found[place].offset)
    assert [int(m.value) for m in consumer] == [7, 8, 9]
    assert "records-consumed-total" in consumer.metrics()["consumer-fetch-manager-metrics"]


def test_rebalance_listener():
    from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer

    producer = KafkaProducer()
    producer.send("t", b"x").get(10)
    told = []

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            told.append(("revoked", set(revoked)))

        def on_partitions_assigned(self, assigned):
            told.append(("assigned", set(assigned)))

    consumer = KafkaConsumer(group_id="g", auto_offset_reset="earliest")
    consumer.subscribe(["t"], listener=Listener())
    assert consumer.poll(5000)
    assert told[-1] == ("assigned", {("t", 0)})
    consumer.close()


PRODUCER = """
import json, sys
from kafka import KafkaProducer
producer = KafkaProducer(value_serializer=lambda v: json.dumps(v).encode("utf-8"))
for n in range(300):
    producer.send("t", {"n": n}, key=str(n).encode()).get(timeout=10)
producer.close()
"""
CONSUMER = """
import json, sys
from kafka import KafkaConsumer
consumer = KafkaConsumer("t", group_id="g", auto_offset_reset="earliest",
                         value_deserializer=lambda m: json.loads(m.decode("utf-8")))
count = 0
for message in consumer:
    count += 1
    print(message.value["n"], flush=True)
    if count == 300:
        break
consumer.close()
"""


def test_two_processes_at_once(tmp_path, monkeypatch):
    import os
    import subprocess
    import sys

    start = "import kafkalite; kafkalite.install_as_kafka()\n"
    consumer = subprocess.Popen([sys.executable, "-c", start + CONSUMER], stdout=subprocess.PIPE, text=True,
                                env=os.environ)
    producer = subprocess.Popen([sys.executable, "-c", start + PRODUCER], env=os.environ)
    numbers = [int(line) for line in consumer.communicate(timeout=60)[0].split()]
    assert producer.wait(60) == 0 and consumer.returncode == 0
    assert sorted(numbers) == list(range(300))
