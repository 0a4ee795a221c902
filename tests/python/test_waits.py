# SPDX-License-Identifier: MIT
"""Waits of the native API: for a descriptor, and for room."""
import selectors
import threading
import time

import pytest

from kafkalite import errors


def test_a_selector_tells_when_there_is_something_to_read(log):
    log.create_topic("t")
    producer = log.producer()
    with log.consumer("t") as consumer, selectors.DefaultSelector() as selector:
        assert consumer.fileno() == consumer.fileno() >= 0
        assert consumer.poll(0) is None
        selector.register(consumer, selectors.EVENT_READ)
        while selector.select(0):  # readable without cause, perhaps
            assert consumer.poll(0) is None
        producer.send("t", b"x")
        assert selector.select(10)
        assert [record.value for record in consumer.poll(0)] == [b"x"]
        selector.unregister(consumer)
    with pytest.raises(errors.ClosedError):
        consumer.fileno()


@pytest.mark.parametrize("way", ["send", "headers", "many"])
def test_a_send_waits_for_room_as_long_as_it_may(log, way):
    """In pieces, for signals; a record that was waited for is there once."""
    log.create_topic("t", config={"segment.bytes": 1 << 20, "retention.bytes": 1, "retention.consumers.groups": "g",
                                  "retention.consumers.max.bytes": 2 << 20, "retention.consumers.on.full": "wait"})
    log.groups["g"].commit({("t", 0): 0})
    producer = log.producer(max_block_ms=300)
    value = b"x" * 100_000

    def send():
        if way == "many":
            return producer.send_many("t", [(b"k", value)])[0]
        return producer.send("t", value, key=b"k", headers=[("h", b"")] if way == "headers" else None)

    began = time.monotonic()
    with pytest.raises(errors.NoSpaceError, match="for max.block.ms"):
        for count in range(100):
            began = time.monotonic()
            send()
    waited = time.monotonic() - began
    assert count > 5 and 0.25 < waited < 5 and log.topic("t").end_offset() == count
    patient = log.producer(max_block_ms=30_000)
    producer.close()
    producer = patient
    commit = threading.Timer(0.3, lambda: log.groups["g"].commit({("t", 0): count}))
    commit.start()
    assert send().offset == count and log.topic("t").end_offset() == count + 1
    commit.join()
    producer.close()
