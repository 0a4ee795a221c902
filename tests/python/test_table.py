# SPDX-License-Identifier: MIT
"""Tables: the newest value of each key, whoever wrote it."""
import random

import pytest

import kafkalite
from kafkalite import errors


@pytest.fixture
def prices(log):
    log.create_topic("prices", partitions=3, config={"cleanup.policy": "compact"})
    with log.table("prices") as table:
        yield table


def test_it_is_a_mapping(log, prices):
    assert dict(prices) == {} and len(prices) == 0 and b"a" not in prices
    prices[b"a"] = b"1"
    prices[b"b"] = b"2"
    prices[b"a"] = b"3"
    assert dict(prices) == {b"a": b"3", b"b": b"2"} and prices[b"a"] == b"3" and prices.get(b"c") is None
    del prices[b"b"]
    assert list(prices) == [b"a"]
    with pytest.raises(KeyError):
        prices[b"b"]
    with pytest.raises(KeyError):
        del prices[b"b"]
    with pytest.raises(TypeError):
        prices["text"] = b""
    prices.update({b"x": b"1", b"y": b""})
    assert prices.pop(b"x") == b"1" and prices[b"y"] == b""
    assert len(list(log.topic("prices").read())) == 7, "all of it is history"


def test_others_write_too(log, prices, directory):
    told = []
    watching = log.table("prices", on_change=lambda *a: told.append(a))
    with kafkalite.open(directory) as other, other.producer() as producer:
        producer.send("prices", b"1", key=b"k", headers=[("h", b"v")], timestamp=77)
    assert prices[b"k"] == b"1" and prices.record(b"k").timestamp == 77 and prices.record(b"k").headers == (("h", b"v"),)
    del prices[b"k"]
    assert watching.refresh() == 2 and told == [(b"k", b"1"), (b"k", None)] and watching.refresh() == 0


def test_it_follows_new_partitions_and_says_when_the_topic_is_gone(log, prices):
    prices[b"k"] = b"1"
    log.topic("prices").add_partitions(9)
    producer = log.producer()
    for number in range(9):
        producer.send("prices", b"%d" % number, key=b"p%d" % number, partition=number)
    assert len(prices) == 10 and prices[b"p8"] == b"8" and prices[b"k"] == b"1"
    log.topic("prices").delete()
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        len(prices)
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        log.table("nope")


def test_records_without_a_key_are_no_rows(log):
    log.create_topic("t")
    log.producer().send_many("t", [(None, b"x"), (b"k", b"y")])
    assert dict(log.table("t")) == {b"k": b"y"}


def test_it_is_what_a_dict_would_be(log, prices):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance, model = random.Random(seed), {}
    for _ in range(2000):
        key = b"%d" % chance.randrange(50)
        if key in model and chance.random() < 0.3:
            del prices[key]
            del model[key]
        else:
            prices[key] = model[key] = chance.randbytes(chance.randrange(30))
        if chance.random() < 0.05:
            assert prices == model
    assert dict(prices) == dict(log.table("prices")) == model
