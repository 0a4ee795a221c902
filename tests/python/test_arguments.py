# SPDX-License-Identifier: MIT
"""What somebody writes who has misread the native API: refused by an exception that says what is needed."""
import pytest

from kafkalite import TopicPartition, errors

HEADER = "a header is a pair of a str and bytes"
PARTITION = "a partition is a pair of topic and number, not "
TIMEOUT = "a timeout is a number of seconds or None, not str"


@pytest.fixture
def topic(log):
    made = log.create_topic("t", 2)
    log.producer().send("t", b"v", key=b"k", partition=0)
    return made


@pytest.mark.parametrize("headers, told", [
    ({"a": b"b"}, HEADER), ("ab", HEADER), ([("a",)], HEADER), ([(b"a", b"b")], HEADER), ([None], HEADER),
    ([("a", "b")], "a header's value is bytes or None, not str"), ([("a\0", b"b")], "without zero bytes"),
])
def test_headers(log, topic, headers, told):
    producer = log.producer()
    for send in (
        lambda: producer.send("t", b"v", headers=headers),
        lambda: producer.send_many("t", [(b"k", b"v", headers)]),
        lambda: producer.send_if("t", 0, 1, b"v", headers=headers),
    ):
        with pytest.raises((TypeError, ValueError), match=told):
            send()
    assert topic.end_offset(0) + topic.end_offset(1) == 1


def test_headers_of_every_good_kind(log, topic):
    producer, headers = log.producer(), [("a", bytearray(b"b")), ["c", None], ("", b"\0")]
    producer.send("t", b"v", headers=headers, partition=1)
    producer.send_many("t", [(b"k", b"v", headers)], partition=1)
    for record in topic.read(partition=1):
        assert record.headers == (("a", b"b"), ("c", None), ("", b"\0"))


@pytest.mark.parametrize("call, told", [
    (lambda log, c: c.seek("t", 0), PARTITION + "'t'"),
    (lambda log, c: c.position(0), PARTITION + "0"),
    (lambda log, c: c.pause("t"), PARTITION + "'t'"),
    (lambda log, c: c.resume(("t", 0, 1)), PARTITION),
    (lambda log, c: c.assign("t"), PARTITION + "'t'"),
    (lambda log, c: c.committed((0, "t")), PARTITION),
    (lambda log, c: c.commit({0: 1}), PARTITION + "0"),
    (lambda log, c: c.commit("t"), "{partition: offset} is needed"),
    (lambda log, c: log.groups["g"].delete_offsets(["t"]), PARTITION + "'t'"),
    (lambda log, c: c.poll("1"), TIMEOUT),
    (lambda log, c: log.sync("1"), TIMEOUT),
    (lambda log, c: next(iter(log.consumer("t", start="latest", timeout="1"))), TIMEOUT),
    (lambda log, c: log.producer().send_many("t", [b"a", b"b"]), "a record is \\(key, value\\), not bytes"),
])
def test_types(log, topic, call, told):
    consumer = log.consumer("t", group="g")
    with pytest.raises(errors.ArgumentTypeError, match=told):
        call(log, consumer)


def test_a_group_begins_at_no_place_of_a_consumer_s_own(log, topic):
    for start in ("-1h", 0, "committed"):
        with pytest.raises(errors.ArgumentValueError, match="a group goes on where it has committed"):
            log.consumer("t", group="g", start=start)
    with log.consumer("t", group="g", start="earliest", stop_at_end=True) as consumer:
        assert [record.value for record in consumer] == [b"v"]


def test_a_pattern_that_is_none(log):
    with pytest.raises(errors.ArgumentValueError, match="is no pattern: missing"):
        log.consumer(pattern="(")


def test_properties_of_a_topic_by_keyword(log):
    topic = log.create_topic("k", config={"cleanup.policy": "compact"}, retention_ms=1000)
    assert (topic.config["retention.ms"], topic.config["cleanup.policy"]) == ("1000", "compact")
    with pytest.raises(errors.ConfigError, match="did you mean retention.ms"):
        log.create_topic("x", retention_mss=1)
    assert log.topic_names() == ["k"]


def test_a_reset_of_one_topic_by_name(log, topic):
    places = {TopicPartition("t", 0): 0, TopicPartition("t", 1): 0}
    assert log.groups["g"].reset("earliest", topics="t") == log.groups["g"].reset("earliest", topics=["t"]) == places


def test_what_many_sends_answer_shows_itself(log, topic):
    assert repr(log.producer().send_many("t", [(None, b"")] * 2, partition=1)) == (
        "<Sent Offset(partition=1, offset=0), Offset(partition=1, offset=1)>")
    assert repr(log.producer().send_many("t", [(None, b"")] * 9, partition=1)).endswith(", ...>")


def test_a_closed_table_calls_itself_one(log, topic):
    table = log.table("t")
    table.close()
    with pytest.raises(errors.ClosedError, match="the table is closed"):
        table.get(b"k")
