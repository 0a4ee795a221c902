# SPDX-License-Identifier: MIT
"""The native API: stores, topics, producers, consumers without a group."""
import datetime
import threading

import pytest

import kafkalite
from kafkalite import TopicPartition, errors


def test_what_goes_in_comes_out(log):
    topic = log.create_topic("t", partitions=3)
    headers = [("trace", b"ab"), ("none", None), ("trace", b"")]
    with log.producer() as producer:
        first = producer.send("t", b"value", key=b"key", headers=headers, timestamp=1234)
        assert first == (first.partition, 0)
        second = producer.send("t", key=b"key")
        assert second == (first.partition, 1)
        empty = producer.send("t", b"", key=b"", partition=first.partition)
        assert empty.offset == 2
        plain = producer.send("t", bytearray(b"abc"), partition=first.partition)
    records = list(topic.read(first.partition))
    assert records[0] == ("t", first.partition, 0, 1234, b"key", b"value", tuple(headers))
    assert records[1].key == b"key" and records[1].value is None
    assert records[2].key == b"" and records[2].value == b""
    assert records[3].key is None and records[3].value == b"abc" and records[3].offset == plain.offset
    assert records[3].headers == ()


def test_many_by_one_call(log):
    topic = log.create_topic("t", partitions=4)
    with log.producer() as producer:
        pairs = [(b"key-%d" % n, b"value-%d" % n) for n in range(1000)]
        sent = producer.send_many("t", pairs)
        assert len(sent) == 1000
        assert sent[7] == list(sent)[7] and sent[-1] == list(sent)[-1]
        assert sent[2:4] == list(sent)[2:4]
        odd = [(None, b"a"), (b"k", None), (b"", b""), (b"x", b"y", [("h", b"v")]), (b"z", b"w", None)]
        more = producer.send_many("t", odd, partition=2, timestamp=99)
        assert [place.partition for place in more] == [2] * 5
        assert len(producer.send_many("t", [])) == 0
    found = {(r.partition, r.offset): r for r in topic.read()}
    for (key, value), place in zip(pairs, sent):
        assert (found[place].key, found[place].value) == (key, value)
    told = [found[place] for place in more]
    assert [(r.key, r.value) for r in told] == [row[:2] for row in odd]
    assert [r.timestamp for r in told] == [99] * 5
    assert [r.headers for r in told] == [(), (), (), (("h", b"v"),), ()]


def test_keys_go_where_kafka_puts_them(log):
    from kafkalite.partitioner import murmur2

    log.create_topic("t", partitions=7)
    with log.producer() as producer:
        for size in range(40):
            key = bytes(range(200, 200 + size))
            place = producer.send("t", b"", key=key)
            assert place.partition == (murmur2(key) & 0x7FFFFFFF) % 7


@pytest.mark.parametrize("bad", ["text", 1, [b""], object()])
def test_only_bytes_are_taken(log, bad):
    log.create_topic("t")
    producer = log.producer()
    with pytest.raises(TypeError):
        producer.send("t", bad)
    with pytest.raises(TypeError):
        producer.send("t", b"", key=bad)
    with pytest.raises(AssertionError):
        producer.send_many("t", [(b"k", bad)])
    with pytest.raises(TypeError):
        producer.send_many("t", [(bad, b"v", [])])
    assert log.topic("t").end_offset() == 0


@pytest.mark.parametrize("bad", [2**32, -2, -(2**40), 2**31])
def test_a_partition_that_cannot_be_is_no_other_one(log, bad):
    log.create_topic("t")
    producer = log.producer()
    for headers in (None, [("h", b"v")]):
        with pytest.raises(errors.KafkaError):
            producer.send("t", b"x", partition=bad, headers=headers)
    producer.send("t", b"x", partition=0)
    for strange in ("0", 0.0, False, b"0"):
        with pytest.raises(TypeError):
            producer.send("t", b"x", partition=strange)
    with pytest.raises(errors.KafkaError):
        producer.send_many("t", [(None, b"x")], partition=bad)
    with pytest.raises(errors.KafkaError):
        log.topic("t").end_offset(bad)
    with pytest.raises(errors.KafkaError):
        log.consumer().assign([("t", bad)])
    assert log.topic("t").end_offset() == 1


def test_a_number_too_large_is_not_cut_to_size(log):
    topic = log.create_topic("t")
    producer = log.producer()
    for call in (
        lambda: topic.offset_for_time(2**64),
        lambda: producer.send("t", b"x", timestamp=2**64 + 5),
        lambda: producer.send_many("t", [(None, b"x")], timestamp=2**64 + 5),
        lambda: producer.send_if("t", 0, 2**64, b"x"),
        lambda: log.consumer("t").seek(("t", 0), 2**64),
        lambda: log.consumer("t").assign({("t", 0): 2**64}),
        lambda: log.consumer("t").poll(0, max_records=2**32 + 1),
        lambda: log.create_topic("u", partitions=2**32 + 1),
        lambda: log.set_clock(2**64),
        lambda: log.groups["g"].commit({("t", 0): 2**64}),
        lambda: topic.end_offset("0"),
    ):
        with pytest.raises(errors.KafkaError):
            call()
    assert topic.end_offset() == 0 and log.topic_names() == ["t"]

def test_an_error_says_where(log):
    log.create_topic("t")
    producer = log.producer()
    with pytest.raises(errors.UnknownTopicOrPartitionError) as caught:
        producer.send("nope", b"")
    assert (caught.value.code, caught.value.name) == (-3, "KFL_E_UNKNOWN_TOPIC_OR_PARTITION")
    assert caught.value.topic == "nope" and caught.value.errno == 3 and caught.value.retriable
    assert isinstance(caught.value, kafkalite.KafkaliteError)
    with pytest.raises(errors.UnknownTopicOrPartitionError) as caught:
        producer.send("t", b"", partition=4)
    assert (caught.value.topic, caught.value.partition) == ("t", 4)
    with pytest.raises(errors.ConflictError) as caught:
        producer.send_if("t", 0, 5, b"")
    assert caught.value.offset == 0
    with pytest.raises(errors.MessageSizeTooLargeError):
        producer.send("t", bytes(2_000_000))
    with pytest.raises(errors.MessageSizeTooLargeError):
        producer.send_many("t", [(None, b"fits"), (None, bytes(2_000_000))])
    assert log.topic("t").end_offset() == 0
    with pytest.raises(errors.InvalidTimestampError):
        producer.send("t", b"", timestamp=-5)
    with pytest.raises(errors.ConfigError, match="linger.ms"):
        log.producer(lingr_ms=5)
    with pytest.raises(ValueError):
        log.producer(acks="some")


def test_a_conditional_send(log):
    log.create_topic("t")
    producer = log.producer()
    assert producer.send_if("t", 0, 0, b"a") == (0, 0)
    with pytest.raises(errors.ConflictError):
        producer.send_if("t", 0, 0, b"b")
    assert producer.send_if("t", 0, 1, b"b", key=b"k", headers=[("h", b"")]) == (0, 1)


def test_lingering_tells_no_offset(log):
    topic = log.create_topic("t")
    producer = log.producer(linger_ms=60_000)
    assert producer.send("t", b"a") == (0, None)
    assert topic.end_offset() == 0
    producer.flush()
    assert topic.end_offset() == 1


def test_topics(log):
    assert log.topic_names() == []
    topic = log.create_topic("b", config={"segment.bytes": 1 << 20, "cleanup.policy": ["delete", "compact"]})
    with pytest.raises(errors.TopicAlreadyExistsError) as caught:
        log.create_topic("b")
    assert caught.value.errno == 36
    assert log.create_topic("b", partitions=9, exist_ok=True).partitions == 1
    log.create_topic("a")
    assert log.topic_names() == ["a", "b"] and "a" in log and "c" not in log
    assert [t.name for t in log] == ["a", "b"]
    assert topic.config["segment.bytes"] == str(1 << 20)
    assert topic.config_set()["segment.bytes"] and not topic.config_set()["segment.ms"]
    topic.alter(segment_ms=5000)
    assert topic.config["segment.ms"] == "5000" and topic.config["segment.bytes"] == str(1 << 20)
    topic.alter({"segment.bytes": None})
    assert topic.config["segment.bytes"] != str(1 << 20)
    topic.add_partitions(3)
    assert topic.partitions == 3
    with pytest.raises(errors.InvalidPartitionsError):
        topic.add_partitions(3)
    topic.delete()
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        log.topic("b")
    assert not topic.exists
    for name in ("", ".", "a b", "x" * 250, "nul\0", "é"):
        with pytest.raises(errors.InvalidTopicError):
            log.create_topic(name)
    assert log.topic_names() == ["a"]


def test_offsets_and_times(log):
    topic = log.create_topic("t")
    with log.producer() as producer:
        for n in range(10):
            producer.send("t", b"", timestamp=1000 * n)
    assert (topic.start_offset(), topic.end_offset()) == (0, 10)
    assert topic.offset_for_time(4500) == (5, 5000)
    assert topic.offset_for_time(9001) is None
    assert topic.max_timestamp() == (9, 9000)
    topic.wait_durable()
    assert topic.durable_offset() == 10
    assert topic.delete_records(before=4) == 4
    assert [r.offset for r in topic.read()] == [4, 5, 6, 7, 8, 9]
    assert topic.delete_records() == 10
    assert list(topic.read()) == []
    assert topic.segments()[0].path.endswith(".log")


def test_reading_from_and_to(log):
    topic = log.create_topic("t", partitions=2)
    now = datetime.datetime.now()
    with log.producer() as producer:
        for n in range(10):
            long_ago = int((now - datetime.timedelta(minutes=10 - n)).timestamp() * 1000)
            producer.send("t", b"%d" % n, partition=0, timestamp=long_ago)
        producer.send("t", b"other", partition=1)

    def values(**where):
        return [int(r.value) for r in topic.read(0, **where)]

    assert values() == list(range(10))
    assert values(start=7) == [7, 8, 9]
    assert values(start=2, stop=4) == [2, 3]
    assert values(start="-330s") == [5, 6, 7, 8, 9]
    assert values(start=datetime.timedelta(minutes=2, seconds=30)) == [8, 9]
    assert values(start=now - datetime.timedelta(minutes=3)) == [7, 8, 9]
    assert values(start="latest") == []
    assert values(stop="-8m") in ([0, 1], [0, 1, 2])
    assert sorted(r.partition for r in topic.read()) == [0] * 10 + [1]
    for bad in ("yesterday", -1, 1.5, True, "-1y"):
        with pytest.raises(ValueError):
            topic.read(start=bad)


def test_iteration_ends_when_told(log):
    log.create_topic("t", partitions=2)
    producer = log.producer()
    producer.send_many("t", [(b"%d" % n, b"v") for n in range(1200)])
    assert sum(1 for _ in log.consumer("t", stop_at_end=True)) == 1200
    consumer = log.consumer("t", timeout=0.01)
    assert sum(1 for _ in consumer) == 1200
    producer.send("t", b"more")
    assert [r.value for r in consumer] == [b"more"]
    assert sum(len(b) for b in log.consumer("t", stop_at_end=True).batches(max_records=7)) == 1200 + 1
    assert [r.value for r in log.consumer("t", start=0, pattern=None, stop_at_end=True)].count(b"more") == 1
    assert list(log.consumer(pattern="t+", start="latest", stop_at_end=True)) == []


def test_positions(log):
    log.create_topic("t")
    log.producer().send_many("t", [(None, b"%d" % n) for n in range(20)])
    place = TopicPartition("t", 0)
    consumer = log.consumer("t", timeout=0)
    for record in consumer:
        if record.offset == 4:
            break
    assert consumer.position(place) == 5 and consumer.assignment() == {place: 5}
    assert next(iter(consumer)).offset == 5
    consumer.seek(place, 18)
    assert [r.offset for r in consumer] == [18, 19]
    consumer.seek(place, "earliest")
    assert consumer.poll(0, max_records=3).offsets() == [0, 1, 2]
    consumer.pause(place)
    assert consumer.poll(0) is None and consumer.paused() == [place]
    consumer.resume(place)
    assert consumer.poll(0, max_records=1).offsets() == [3] and consumer.paused() == []
    with pytest.raises(errors.ArgumentValueError):
        consumer.seek(("t", 1), 0)


def test_pausing_in_the_middle_repeats_and_loses_nothing(log):
    log.create_topic("t", partitions=2)
    producer = log.producer()
    for number in (0, 1):
        producer.send_many("t", [(None, b"%d" % n) for n in range(50)], partition=number)
    consumer = log.consumer("t", timeout=0)
    seen = []
    for count, record in enumerate(consumer):
        seen.append((record.partition, record.offset))
        if count == 10:
            consumer.pause(("t", 1))
        if count == 30:
            consumer.resume(("t", 1))
    assert sorted(seen) == [(p, n) for p in (0, 1) for n in range(50)]


def test_commits_by_group_name(log):
    log.create_topic("t")
    log.producer().send_many("t", [(None, b"%d" % n) for n in range(20)])
    place = TopicPartition("t", 0)
    with log.consumer(group="g", timeout=0) as consumer:
        consumer.assign([place])
        for record in consumer:
            if record.offset == 6:
                consumer.commit()  # what was handed out, not what was read ahead
                break
        assert consumer.committed(place)[place].offset == 7
        consumer.commit(record._replace(offset=9))
        assert log.groups["g"].committed()[place].offset == 10
        consumer.commit({place: kafkalite.OffsetAndMetadata(12, "note")})
        assert log.groups["g"].committed()[place] == (12, "note", -1)
        assert log.groups["g"].lag() == {place: 8}
        assert list(log.groups["g"].lag_ms()) == [place]
        with pytest.raises(errors.OffsetOutOfRangeError):
            consumer.commit({place: 21})
        with pytest.raises(TypeError):
            consumer.commit({place: "5"})
    with log.consumer(group="g", timeout=0) as consumer:
        consumer.assign([place])
        assert next(iter(consumer)).offset == 12
        batch = consumer.poll(0, max_records=2)
        batch.commit()
        assert log.groups["g"].committed()[place].offset == batch.offsets()[-1] + 1
    with log.consumer() as consumer:
        with pytest.raises(errors.InvalidGroupIdError):
            consumer.commit()
    assert log.groups.names() == ["g"] and "g" in log.groups and log.groups["h"].committed() == {}


def test_a_wakeup_ends_a_poll(log):
    log.create_topic("t")
    consumer = log.consumer("t")
    met = []

    def poll():
        try:
            consumer.poll()
        except errors.KafkaError as error:
            met.append(error)

    thread = threading.Thread(target=poll)
    thread.start()
    consumer.wakeup()
    thread.join(10)
    assert isinstance(met[0], errors.WakeupError)


@pytest.mark.parametrize("close", ["consumer", "store"])
def test_closing_ends_a_poll_of_another_thread(log, close):
    log.create_topic("t")
    consumer = log.consumer("t")
    met, started = [], threading.Event()

    def poll():
        started.set()
        try:
            consumer.poll()
        except errors.KafkaError as error:
            met.append(error)

    thread = threading.Thread(target=poll)
    thread.start()
    started.wait(10)
    (consumer if close == "consumer" else log).close()
    thread.join(10)
    assert not thread.is_alive() and isinstance(met[0], errors.ClosedError)


def test_what_is_closed_says_so(log):
    log.create_topic("t")
    producer, consumer = log.producer(), log.consumer("t")
    producer.close()
    consumer.close()
    producer.close()
    consumer.close()
    for call in (
        lambda: producer.send("t", b""),
        lambda: producer.send_many("t", [(b"", b"")]),
        lambda: producer.flush(),
        lambda: consumer.poll(0),
        lambda: consumer.assignment(),
        lambda: list(consumer),
    ):
        with pytest.raises(errors.ClosedError):
            call()
    log.close()
    log.close()
    assert log.closed and "closed" in repr(log)
    with pytest.raises(errors.ClosedError):
        log.topic_names()
    with pytest.raises(errors.IllegalStateError):
        log.producer()


def test_a_store_is_made_or_must_be_there(directory):
    with pytest.raises(errors.NotFoundError):
        kafkalite.open(directory, create=False)
    with kafkalite.open(directory) as log:
        log.create_topic("t")
        log.producer().send("t", b"x")
        with kafkalite.open(directory) as same:
            assert same.topic_names() == ["t"]
    with kafkalite.open(directory, read_only=True) as log:
        assert [r.value for r in log.topic("t").read()] == [b"x"]
        with pytest.raises(errors.ReadOnlyError):
            log.create_topic("u")
    with kafkalite.open(":memory:") as log:
        log.create_topic("gone")


def test_looking_inside(log):
    log.create_topic("t")
    log.producer().send("t", b"x")
    verified = log.verify()
    assert verified and verified.checked_records == 1 and verified.findings == []
    assert log.verify("t", quick=True)
    stats = {(s.name, s.topic, s.partition): s.value for s in log.stats()}
    assert stats["topics", "", None] == 1
    assert stats["log_end_offset", "t", 0] == 1
    assert log.history()[-1].kind == "open"
    log.sync()
    assert log.maintain(0) in (True, False)


def test_the_clock_can_be_stopped(log):
    topic = log.create_topic("t")
    log.set_clock(5_000_000)
    producer = log.producer()
    producer.send("t", b"x")
    producer.send_many("t", [(None, b"y")])
    log.set_clock(None)
    producer.send("t", b"z")
    stamps = [r.timestamp for r in topic.read()]
    assert stamps[:2] == [5_000_000] * 2 and stamps[2] > 1_600_000_000_000


def test_damage_is_told_and_passed_by(log):
    topic = log.create_topic("t")
    producer = log.producer()
    for n in range(5):
        producer.send("t", b"value-%d" % n)
    log.sync()
    path = topic.segments()[0].path
    with open(path, "r+b") as file:
        data = file.read()
        file.seek(data.index(b"value-2"))
        file.write(b"VALUE")
    consumer = log.consumer("t", timeout=0)
    values, damaged = [], []
    while True:
        try:
            batch = consumer.poll(0)
        except errors.CorruptRecordError as error:
            damaged.append((error.topic, error.partition, error.offset))
            continue
        if batch is None:
            break
        values += batch.values()
    assert values == [b"value-0", b"value-1", b"value-3", b"value-4"]
    assert damaged == [("t", 0, 2)]
    told = []
    consumer = log.consumer("t", timeout=0)
    consumer.on_event = told.append
    assert len([r for r in consumer]) == 4
    assert [(e.kind, e.offset, e.end_offset) for e in told] == [("hole", 2, 3)]
    found = log.verify()
    assert not found and found.findings[0].kind == "damage"
    log.close()


def test_salvage(log, tmp_path):
    topic = log.create_topic("t", partitions=2)
    log.producer().send_many("t", [(b"%d" % n, b"v%d" % n) for n in range(100)])
    before = sorted(topic.read())
    with pytest.raises(errors.BusyError):
        kafkalite.repair(log.path, tmp_path / "early")
    log.close()
    (tmp_path / "data" / "catalog.mdb").unlink()
    saved = kafkalite.repair(log.path, tmp_path / "copy")
    assert saved.checked_records == 100 and saved.findings == []
    with kafkalite.open(tmp_path / "copy") as copy:
        assert sorted(copy.topic("t").read()) == before
        assert copy.topic("t").end_offset() > 1 << 32, "no offset is given twice"
        assert sorted(copy.consumer("t", stop_at_end=True)) == before
        assert dict(copy.table("t")) == {r.key: r.value for r in before}
        assert copy.verify()


def test_threads_share_everything(log):
    log.create_topic("t", partitions=3)
    producer = log.producer()

    def send(who):
        for n in range(500):
            producer.send("t", b"%d-%d" % (who, n), key=b"%d" % who)

    threads = [threading.Thread(target=send, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = {}
    for record in log.topic("t").read():
        who, n = record.value.split(b"-")
        assert int(n) == last.get(who, -1) + 1
        last[who] = int(n)
    assert set(last.values()) == {499} and len(last) == 6
