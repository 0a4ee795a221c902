# SPDX-License-Identifier: MIT
"""The newest record of a key, against a dict and against a table."""
import random

import pytest

from kafkalite import errors


@pytest.mark.parametrize("partitions", [1, 3])
def test_it_agrees_with_a_table(log, partitions):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    topic = log.create_topic("t", partitions)
    keys = [b"k%d" % n for n in range(40)]
    rows = [(chance.choice(keys[: 1 + n // 50]), b"%d" % n) for n in range(3000)]
    log.producer().send_many("t", rows)
    newest = dict(rows)
    with log.table("t") as table:
        for key in keys:
            found = topic.latest(key)
            assert (found and found.value) == newest.get(key) == table.get(key)
            assert found is None or found == table.record(key)


def test_it_sees_deletions_and_what_is_left(log):
    topic = log.create_topic("t")
    producer = log.producer()
    assert topic.latest(b"k") is None
    producer.send("t", b"old", key=b"k")
    producer.send("t", None, key=b"k")
    assert topic.latest(b"k").value is None and topic.latest(b"k").offset == 1
    assert topic.latest(bytearray(b"k")).offset == 1
    topic.delete_records(0, 2)
    assert topic.latest(b"k") is None
    producer.send("t", b"elsewhere", key=b"q")
    assert topic.latest(b"q", partition=0).value == b"elsewhere"
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        topic.latest(b"q", partition=1)
    for bad in (None, "k", 1):
        with pytest.raises(TypeError):
            topic.latest(bad)


def test_a_compacted_topic_has_holes(log):
    topic = log.create_topic("t", config={"cleanup.policy": "compact", "segment.bytes": 1 << 20})
    producer = log.producer()
    for n in range(300):
        producer.send("t", b"x" * 20_000, key=b"k%d" % (n % 5 if n > 5 else n + 100))
    while log.maintain(1):
        pass
    assert topic.latest(b"k3").offset == 298 and topic.latest(b"k103").offset == 3
    assert topic.latest(b"never") is None
