# SPDX-License-Identifier: MIT
"""What is refused, against Debian's python3-kafka: the same call raises what the same handler catches, and says it
in the same words. kafka-python's clients are made with an api_version, and so look for no broker."""
import logging

import pytest

import kafkalite

kafka = pytest.importorskip("kafka")
if kafka.__version__ != "2.0.2":
    pytest.skip("compared with 2.0.2", allow_module_level=True)

OFFLINE = {"bootstrap_servers": "localhost:1", "api_version": (2, 0, 0)}


@pytest.fixture(autouse=True)
def quiet():
    before = logging.getLogger("kafka").level
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("kafka").setLevel(before)


def met(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return error
    return None


def words(error):
    """Of ours the text alone: the name of the class stands before it."""
    return str(error.args[0]) if error.args else ""


def assert_alike(ours, theirs):
    assert theirs is not None, "this is no refusal"
    assert ours is not None, theirs
    bases = {base.__name__ for base in type(ours).__mro__}
    assert {base.__name__ for base in type(theirs).__mro__} <= bases, (ours, theirs)
    assert words(theirs) in words(ours), (ours, theirs)


T = ("t", 0)
ASSIGNED = {
    "poll: negative timeout": lambda c, tp: c.poll(-1),
    "poll: no records": lambda c, tp: c.poll(max_records=0),
    "poll: text": lambda c, tp: c.poll(max_records="1"),
    "seek: negative": lambda c, tp: c.seek(tp(*T), -1),
    "seek: text": lambda c, tp: c.seek(tp(*T), "1"),
    "seek: a tuple": lambda c, tp: c.seek(T, 1),
    "seek: not assigned": lambda c, tp: c.seek(tp("t", 7), 1),
    "position: not assigned": lambda c, tp: c.position(tp("t", 7)),
    "position: a tuple": lambda c, tp: c.position(T),
    "highwater: not assigned": lambda c, tp: c.highwater(tp("t", 7)),
    "highwater: a tuple": lambda c, tp: c.highwater(T),
    "pause: a tuple": lambda c, tp: c.pause(T),
    "resume: a tuple": lambda c, tp: c.resume(T),
    "seek_to_beginning: a tuple": lambda c, tp: c.seek_to_beginning(T),
    "seek_to_beginning: not assigned": lambda c, tp: c.seek_to_beginning(tp("t", 7)),
    "seek_to_end: a tuple": lambda c, tp: c.seek_to_end(T),
    "seek_to_end: not assigned": lambda c, tp: c.seek_to_end(tp("t", 7)),
    "subscribe: assigned": lambda c, tp: c.subscribe(["t"]),
    "commit: no group": lambda c, tp: c.commit(),
    "commit_async: no group": lambda c, tp: c.commit_async(),
    "committed: no group": lambda c, tp: c.committed(tp(*T)),
    "offsets_for_times: negative": lambda c, tp: c.offsets_for_times({tp(*T): -1}),
}
NOTHING_YET = {
    "seek_to_beginning: nothing assigned": lambda c, tp: c.seek_to_beginning(),
    "seek_to_end: nothing assigned": lambda c, tp: c.seek_to_end(),
    "subscribe: nothing": lambda c, tp: c.subscribe(),
    "subscribe: None": lambda c, tp: c.subscribe([None]),
    "subscribe: a number": lambda c, tp: c.subscribe([1]),
    "subscribe: no name": lambda c, tp: c.subscribe([""]),
    "subscribe: a dot": lambda c, tp: c.subscribe(["."]),
    "subscribe: a long name": lambda c, tp: c.subscribe(["a" * 250]),
    "subscribe: a blank": lambda c, tp: c.subscribe(["a b"]),
    "subscribe: no listener": lambda c, tp: c.subscribe(["t"], listener=3),
}
SUBSCRIBED = {
    "assign: subscribed": lambda c, tp: c.assign([tp(*T)]),
}


def prepared(module, state, **options):
    consumer = module.KafkaConsumer(**options)
    if state is ASSIGNED:
        consumer.assign([module.TopicPartition(*T)])
    if state is SUBSCRIBED:
        consumer.subscribe(["t"])
    return consumer


@pytest.mark.parametrize("state", [ASSIGNED, NOTHING_YET, SUBSCRIBED], ids=["assigned", "nothing yet", "subscribed"])
def test_a_consumer_refuses_in_the_same_words(state, servers):
    theirs = prepared(kafka, state, **OFFLINE)
    ours = prepared(kafkalite, state, bootstrap_servers=servers)
    for name, call in state.items():
        print(name)
        assert_alike(met(call, ours, kafkalite.TopicPartition), met(call, theirs, kafka.TopicPartition))
    theirs.close()
    ours.close()


def test_a_pattern_and_names_take_turns(servers):
    """2.0.2 lets either replace the other; both at once are refused."""
    for module, options in ((kafka, OFFLINE), (kafkalite, {"bootstrap_servers": servers})):
        consumer = module.KafkaConsumer(**options)
        consumer.subscribe(["t"])
        consumer.subscribe(pattern="t.*")
        consumer.subscribe(["u"])
        assert consumer.subscription() == {"u"}
        assert isinstance(met(consumer.subscribe, ["t"], "t.*"), module.errors.IllegalStateError)
        consumer.close()


@pytest.mark.parametrize("name, options", [
    ("KafkaConsumer", {"no_such_option": 1}),
    ("KafkaConsumer", {"fetch_max_wait_ms": 400_000}),
    ("KafkaConsumer", {"connections_max_idle_ms": 1}),
    ("KafkaConsumer", {"group_id": "g", "session_timeout_ms": 400_000}),
    ("KafkaProducer", {"no_such_option": 1}),
    ("KafkaProducer", {"compression_type": "zip"}),
    ("KafkaAdminClient", {"no_such_option": 1}),
])
def test_options_are_refused_in_the_same_words(name, options, servers):
    theirs = met(lambda: getattr(kafka, name)(**OFFLINE, **options))
    ours = met(lambda: getattr(kafkalite, name)(bootstrap_servers=servers, **options))
    if name == "KafkaAdminClient":  # theirs has a set, and so has ours
        assert "no_such_option" in str(theirs) and "no_such_option" in str(ours)
    assert_alike(ours, theirs)


def test_a_record_of_nothing_and_one_too_large(servers):
    theirs = kafka.KafkaProducer(**OFFLINE)
    ours = kafkalite.KafkaProducer(bootstrap_servers=servers)
    assert_alike(met(ours.send, "t"), met(theirs.send, "t"))
    size = 2 << 20
    large = ours.send("t", b"x" * size).exception
    assert_alike(large, met(theirs._ensure_valid_record_size, 61 + 21 + size - 1))
    theirs.close(timeout=0)
    ours.close()


def test_what_is_not_bytes(servers):
    """kafka-python asserts without a word; what its records say of a type stands here."""
    with kafkalite.KafkaProducer(bootstrap_servers=servers) as producer:
        for bad in ("text", 5, ["x"], {"a": 1}, 1.5):
            for arguments, noun in (((bad, b"k"), "value"), ((b"v", bad), "key")):
                error = met(producer.send, "t", *arguments)
                assert isinstance(error, AssertionError) and isinstance(error, TypeError)
                assert f"Unsupported type for {noun}: {type(bad)}" in str(error)
        for bad in ({"a": b"b"}, (("a", b"b"),), [("a", "b")], [["a", b"b"]], [("a",)], [(b"a", b"b")], "ab"):
            error = met(producer.send, "t", b"v", None, bad)
            assert isinstance(error, AssertionError) and isinstance(error, TypeError), bad


def test_futures_complete_once_in_the_same_words():
    from kafka.future import Future as Theirs

    from kafkalite.future import Future as Ours

    for call in (lambda f: f.success(1).success(2), lambda f: f.success(1).failure(ValueError()),
                 lambda f: f.failure("no exception")):
        assert_alike(met(call, Ours()), met(call, Theirs()))
