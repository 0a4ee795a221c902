# SPDX-License-Identifier: MIT
"""What send() answers is a pair in every respect but its weight; and the short way that most records take."""
import copy
import pickle
import threading

import pytest

import kafkalite
from kafkalite import Offset, _ffi, errors
from kafkalite._native import producer as producers


def test_it_is_a_pair():
    place = Offset(2, 7)
    partition, offset = place
    assert (partition, offset) == (place.partition, place.offset) == (place[0], place[1]) == (2, 7) == place
    assert place == Offset(partition=2, offset=7) != Offset(2, 8) and place != (2, 8) and place != "2, 7"
    assert len(place) == 2 and list(place) == [2, 7] and tuple(place) == (2, 7) and place[-1] == 7
    assert repr(place) == "Offset(partition=2, offset=7)"
    assert {place: "here"}[(2, 7)] == "here" and hash(place) == hash((2, 7))
    assert pickle.loads(pickle.dumps(place)) == copy.deepcopy(place) == place
    assert sorted([Offset(1, 5), Offset(0, 9), Offset(1, 4)]) == [(0, 9), (1, 4), (1, 5)]
    assert Offset(0, 0) and Offset(0, 1) > Offset(0, 0) <= Offset(0, 0)


@pytest.mark.parametrize("partition", [0, 1, 99_999])
@pytest.mark.parametrize("offset", [None, 0, 1, 2**31, 2**46 - 2])
def test_numbers_of_all_sizes_come_back(partition, offset):
    assert tuple(Offset(partition, offset)) == (partition, offset)


def test_every_way_of_a_record_tells_the_same(log):
    log.create_topic("t", partitions=3)
    producer = log.producer()
    ends = [0, 0, 0]
    for number in range(60):
        key = b"%d" % (number % 7) if number % 3 else None
        way = number % 5
        if way == 0:
            place = producer.send("t", b"v", key=key)
        elif way == 1:
            place = producer.send("t", b"v", key=key, timestamp=5)
        elif way == 2:
            place = producer.send("t", b"v", key=key, headers=[("h", b"x")])
        elif way == 3:
            place = producer.send("t", bytearray(b"v"), key=key)
        else:
            (place,) = producer.send_many("t", [(key, b"v")])
        assert type(place) is Offset and place.offset == ends[place.partition]
        ends[place.partition] += 1
    assert ends == [log.topic("t").end_offset(n) for n in range(3)]


def test_what_lingers_has_no_offset_yet(log):
    log.create_topic("t")
    with log.producer(linger_ms=60_000) as producer:
        assert [producer.send("t", b"v") for _ in range(3)] == [(0, None)] * 3
        assert log.topic("t").end_offset() == 0
    assert log.topic("t").end_offset() == 3


def test_the_short_way_follows_a_topic_that_is_made_anew(log):
    producer = log.producer()
    for partitions in (1, 4):
        log.create_topic("t", partitions)
        assert [producer.send("t", b"v", key=b"k").offset for _ in range(3)] == [0, 1, 2]
        log.topic("t").delete()
        for _ in range(2):
            with pytest.raises(errors.UnknownTopicOrPartitionError) as met:
                producer.send("t", b"v", key=b"k")
            assert met.value.topic == "t"


SIZES = [(None, b""), (b"", b"v"), (b"k", b"x" * 20), (b"k" * 256, b""), (b"k" * 70_000, b"x" * 200_000), (None, b"x" * 4096)]


def test_the_short_way_takes_records_of_all_sizes(log, monkeypatch):
    log.create_topic("t")
    producer = log.producer()
    producer.send("t", b"first")
    monkeypatch.setattr(producer, "send_at", None)  # to be called would be an error
    for key, value in SIZES:
        producer.send("t", value, key=key)
    assert [(record.key, record.value) for record in log.topic("t").read(start=1)] == SIZES


def test_where_bytes_are_laid_out_otherwise_there_is_no_short_way(log, monkeypatch):
    log.create_topic("t")
    producer = log.producer()
    monkeypatch.setattr(_ffi, "SIZE_BEFORE", 0)
    monkeypatch.setattr(producers, "_send_to", None)  # to be called would be an error
    for key, value in SIZES:
        producer.send("t", value, key=key)
    assert [(record.key, record.value) for record in log.topic("t").read()] == SIZES


def test_the_short_way_remembers_so_many_topics_and_no_more(log, monkeypatch):
    monkeypatch.setattr(producers, "_KNOWN_MAX", 5)
    producer = log.producer()
    for number in range(10):
        log.create_topic(f"t{number}")
        assert [producer.send(f"t{number}", b"v", key=b"k").offset for _ in range(3)] == [0, 1, 2]
    assert len(producer._to) == 5


def test_what_the_short_way_knows_is_no_way_around_the_types(log):
    log.create_topic("t")
    producer = log.producer()
    for size in range(4):
        producer.send("t", b"v" * size, key=b"k" * size)
    for key in (2, True, "kk", [1, 2], ("a", "b"), 2.0):
        for arguments in ((b"vv", key), (key, b"kk")):
            with pytest.raises(errors.ArgumentTypeError):
                producer.send("t", *arguments)
    for odd in (bytearray(b"xy"), memoryview(b"xy")):
        producer.send("t", odd, key=odd)
    producer.send("t", b"vv", key=b"")
    producer.send("t", b"vv")
    read = [(record.key, record.value) for record in log.topic("t").read()][4:]
    assert read == [(b"xy", b"xy"), (b"xy", b"xy"), (b"", b"vv"), (None, b"vv")]


def test_a_producer_is_closed_while_threads_send(log):
    log.create_topic("t")
    for _ in range(20):
        producer = log.producer()
        sent, met = [0] * 3, []
        begun = threading.Barrier(4)

        def send(number):
            begun.wait()
            try:
                while True:
                    producer.send("t", b"v", key=b"k")
                    sent[number] += 1
            except errors.ClosedError as error:
                met.append(error)

        before = log.topic("t").end_offset()
        threads = [threading.Thread(target=send, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        begun.wait()
        while min(sent) == 0:
            pass
        producer.close()
        for thread in threads:
            thread.join(10)
        assert len(met) == 3 and log.topic("t").end_offset() - before == sum(sent)


def test_nothing_keeps_a_closed_producer_open(directory):
    log = kafkalite.open(directory)
    log.create_topic("t")
    producer = log.producer()
    producer.send("t", b"v")
    handle = producer._handle
    assert producer._to and handle.value
    producer.close()
    assert not producer._to and handle.value is None
    log.close()
