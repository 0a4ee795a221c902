# SPDX-License-Identifier: MIT
"""Batches: their columns, their views of the log, and what a release leaves behind."""
import gc
import random

import pytest

from kafkalite import Record, errors


def filled(log, rows, **config):
    log.create_topic("t", config=config)
    producer = log.producer()
    for row in rows:
        producer.send("t", row[1], key=row[0], headers=row[2])
    return rows


def shapes():
    """What keys, values and headers may look like, even and uneven."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    missing_or = lambda: chance.choice([None, b"", b"k", bytes(chance.randrange(300))])  # noqa: E731
    yield [(b"abc", b"x" * 10, [])] * 5
    yield [(None, b"x" * 10, [])] * 5
    yield [(b"abc", None, [])] * 5
    yield [(b"", b"", [])] * 3
    yield [(None, b"", [])] * 3
    yield [(b"", None, [])] * 3
    yield [(None, None, [("only", b"header")])] * 2
    yield [(b"k", b"v", [("a", b"1"), ("a", None), ("", b"")]), (b"k", b"v", [])]
    yield [(missing_or(), missing_or(), chance.choice([[], [], [("h", missing_or())]])) for _ in range(400)]


@pytest.mark.parametrize("zero_copy", [False, True])
@pytest.mark.parametrize("number", range(9))
def test_every_shape_comes_back(log, number, zero_copy):
    rows = filled(log, list(shapes())[number])
    consumer = log.consumer("t", stop_at_end=True, zero_copy=zero_copy)
    seen = []
    for batch in consumer.batches(max_records=150):
        records = batch.records()
        assert len(batch) == len(records) and list(batch) == records and batch[0] == records[0]
        assert batch.keys() == [r.key for r in records]
        assert batch.values() == [r.value for r in records]
        assert batch.offsets() == [r.offset for r in records]
        assert batch.timestamps() == [r.timestamp for r in records]
        assert batch.tuples() == [(r.offset, r.timestamp, r.key, r.value) for r in records]
        assert batch.next_offsets() == {("t", 0): records[-1].offset + 1}
        assert set(batch.partitions()) == {("t", 0)}
        kinds = {type(part) for r in records for part in (r.key, r.value)} - {type(None)}
        assert kinds <= {memoryview if zero_copy else bytes}
        seen += [(_copy(r.key), _copy(r.value), list(r.headers)) for r in records]
        batch.release()
    assert seen == rows


def _copy(view):
    return None if view is None else bytes(view)


def test_several_topics_in_one_batch(log):
    producer = log.producer()
    for name in ("a", "b"):
        log.create_topic(name, partitions=2)
        for number in (0, 1):
            producer.send(name, name.encode(), partition=number)
    for zero_copy in (False, True):
        consumer = log.consumer("a", "b", stop_at_end=True, zero_copy=zero_copy)
        records = [r for batch in consumer.batches() for r in batch.records()]
        assert sorted((r.topic, r.partition, bytes(r.value)) for r in records) == [
            ("a", 0, b"a"), ("a", 1, b"a"), ("b", 0, b"b"), ("b", 1, b"b")]
        consumer.close()


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_a_released_view_refuses_and_what_derives_from_it_stays(log, codec):
    try:
        log.create_topic("t", config={"compression.type": codec})
    except errors.ConfigError:
        pytest.skip("built without it")
    values = [b"%06d" % n * 10 for n in range(100)]
    log.producer().send_many("t", [(b"key", value) for value in values])
    consumer = log.consumer("t", zero_copy=True)
    with consumer.poll(0) as batch:
        records = batch.records()
        views = [r.value for r in records]
        parts = [view[6:12] for view in views]
        assert views[5] == values[5] and views[5].readonly and views[5][0] == ord("0")
    for use in (bytes, len, hash, lambda view: view[0]):
        with pytest.raises(ValueError):
            use(views[0])
    with pytest.raises(errors.ClosedError):
        batch.records()
    with pytest.raises(errors.ClosedError):
        batch.tuples()
    batch.release()
    del records, views, batch
    gc.collect()
    log.topic("t").delete_records()
    log.topic("t").delete()
    consumer.close()
    log.close()
    assert parts == [value[6:12] for value in values]


def test_views_outlive_a_batch_that_nobody_released(log):
    log.create_topic("t")
    log.producer().send("t", b"still here")
    view = log.consumer("t", zero_copy=True).poll(0)[0].value
    gc.collect()
    log.topic("t").delete()
    log.close()
    gc.collect()
    assert view == b"still here"


def test_a_view_cannot_be_written_to(log):
    log.create_topic("t")
    log.producer().send("t", b"value")
    view = log.consumer("t", zero_copy=True).poll(0)[0].value
    with pytest.raises(TypeError):
        view[0] = 1
    assert log.verify()


def test_without_zero_copy_nothing_is_held(log):
    log.create_topic("t")
    log.producer().send("t", b"value")
    with log.consumer("t").poll(0) as batch:
        value = batch[0].value
    assert type(value) is bytes and batch[0] == Record("t", 0, 0, batch[0].timestamp, None, b"value")
