# SPDX-License-Identifier: MIT
"""Another process is stopped in the middle of a change of the catalog, or of an append: Ctrl-C ends every call that
waits for it, what was interrupted has not happened, and once the other goes on everything works."""
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

import kafkalite
from kafkalite import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, _ffi, admin, errors

COMMITS = """
import sys, kafkalite
log = kafkalite.open(sys.argv[1])
print("ready", flush=True)
while True:
    log.groups["other"].commit({("t", 0): 0})
"""
SENDS = """
import sys, kafkalite
log = kafkalite.open(sys.argv[1])
producer = log.producer()
records = [(b"k", bytes(900_000))]
print("ready", flush=True)
while True:
    producer.send_many("big", records, partition=0)
"""


class Other:
    """The other process."""

    def __init__(self, program, directory):
        self.process = subprocess.Popen([sys.executable, "-c", program, directory], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self, is_held):
        """In the middle: so often until others have to wait."""
        while True:
            os.kill(self.process.pid, signal.SIGSTOP)
            os.waitpid(self.process.pid, os.WUNTRACED)
            if is_held():
                return
            self.go_on()

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def interrupted(seconds=0.05):
    """What is done meanwhile is interrupted: by a signal whose handler raises KeyboardInterrupt."""

    def interrupt(*arguments):
        raise KeyboardInterrupt

    gc.collect()  # or what is left of others may be closed in the middle, and what is raised there is told and forgotten
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def other(log, directory):
    """Stopped inside a change of the catalog. Some things were done before."""
    log.create_topic("t", partitions=2)
    log.create_topic("u")
    log.producer().send_many("t", [(b"k", b"v")] * 10, partition=0)
    log.groups["g"].commit({("t", 0): 3})
    process = Other(COMMITS, directory)
    commits = [("t", 0, 3, None)]

    def is_held():
        array = _ffi.offsets_array(commits)
        return _ffi.plain.group_commit_offsets(log.handle, b"g", array, 1) == _ffi.INTERRUPTED

    process.is_held = is_held
    process.hold = lambda: process.stop(is_held)
    yield process
    process.end()


def state(log):
    ends = {
        (topic.name, n): (topic.start_offset(n), topic.end_offset(n))
        for topic in log
        for n in range(topic.partitions)
    }
    committed = [log.groups[name].committed() for name in ("g", "new")]
    return ends, log.topic("t").config["retention.ms"], committed


CHANGES = {
    "create topic": lambda log: log.create_topic("new"),
    "add partitions": lambda log: log.topic("t").add_partitions(3),
    "alter": lambda log: log.topic("t").alter(retention_ms=1_000_000),
    "delete topic": lambda log: log.topic("u").delete(),
    "delete records": lambda log: log.topic("t").delete_records(0, 5),
    "commit": lambda log: log.groups["new"].commit({("t", 0): 5}),
    "delete offsets": lambda log: log.groups["g"].delete_offsets([("t", 0)]),
    "delete group": lambda log: log.groups["g"].delete(),
    "send": lambda log: log.producer().send("u", b"v", key=b"k"),
    "send with headers": lambda log: log.producer().send("t", b"v", partition=1, headers=[("h", b"")]),
    "send at": lambda log: log.producer().send_if("u", 0, 0, b"v"),
    "send many": lambda log: log.producer(acks="all").send_many("t", [(b"k", b"v")] * 100, partition=1),
    "create topics": lambda log: KafkaAdminClient(bootstrap_servers="file:" + log.path).create_topics(
        [admin.NewTopic("new", 1, 1)]),
    "send to a new topic": lambda log: KafkaProducer(bootstrap_servers="file:" + log.path).send("new", b"v"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_was_interrupted_has_not_happened_and_can_be_made(log, other, change):
    before = state(log)
    other.hold()
    for _ in range(2):
        with interrupted():
            CHANGES[change](log)
        assert other.is_held() and state(log) == before
    other.go_on()
    CHANGES[change](log)
    assert state(log) != before


def test_a_member_joins_commits_and_leaves(log, other):
    other.hold()
    consumer = log.consumer("t", group="new", start="earliest", enable_auto_commit=False)
    assert consumer.poll(timeout=0.1) is consumer.poll(timeout=0) is None and other.is_held()
    for _ in range(2):
        with interrupted():
            consumer.poll(timeout=60)
    other.go_on()
    batch = consumer.poll(timeout=60)
    assert batch.offsets() == list(range(10))
    other.hold()
    for commit in (consumer.commit, batch.commit, lambda: consumer.commit({("t", 0): 4}), consumer.unsubscribe):
        with interrupted():
            commit()
    assert consumer.assignment() and log.groups["new"].committed() == {}
    other.go_on()
    batch.commit()
    consumer.unsubscribe()
    assert log.groups["new"].committed()[TopicPartition("t", 0)].offset == 10 and not consumer.assignment()
    consumer.close()


def test_a_commit_comes_behind_those_that_nobody_waits_for(log, other):
    outcomes = []
    consumer = log.consumer("t", group="new", start="earliest", enable_auto_commit=False)
    consumer.poll(timeout=60)
    other.hold()
    consumer.commit_async({("t", 0): 7}, lambda offsets, error: outcomes.append(error))
    with interrupted():
        consumer.commit({("t", 0): 5})
    with interrupted():
        consumer.poll(timeout=60)
    other.go_on()
    consumer.commit({("t", 0): 5})
    consumer.poll(timeout=0)
    assert outcomes == [None] and log.groups["new"].committed()[TopicPartition("t", 0)].offset == 5
    consumer.close()


def test_what_lingers_lingers_on(log, other):
    producer = log.producer(linger_ms=60_000)
    other.hold()
    producer.send("u", b"v", timestamp=1234)
    with interrupted():
        producer.flush()
    other.go_on()
    producer.flush()
    assert [(r.value, r.timestamp) for r in log.topic("u").read()] == [(b"v", 1234)]
    producer.close()


@pytest.mark.parametrize("way", ["close", "del"])
def test_a_close_is_left_to_itself(log, other, directory, way):
    """The member is gone at the latest when the other process goes on."""
    consumer = log.consumer("t", group="new")
    consumer.poll(timeout=0.2)
    assert len(log.groups["new"].describe().members) == 1
    other.hold()
    if way == "close":
        with interrupted():
            consumer.close()
        assert consumer.closed
    else:
        interrupts = []
        before = signal.signal(signal.SIGALRM, lambda *arguments: interrupts.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        timer = threading.Timer(0.3, other.go_on)
        timer.start()
        del consumer  # handlers run, and what they raise would be told and forgotten, as in every __del__
        assert interrupts
        timer.join()
        signal.signal(signal.SIGALRM, before)
    other.go_on()
    with pytest.raises(errors.GroupIdNotFoundError):  # without members and offsets it is none
        while True:
            log.groups["new"].describe()


def test_stores_are_opened_and_closed(log, other, directory, tmp_path):
    """By programs of their own: the close of one keeps the others of its process waiting."""
    other.hold()
    for program in (
        "import sys, kafkalite; wait(0.3); kafkalite.open(sys.argv[1])",
        "import sys; from kafkalite import KafkaConsumer as C; wait(0.3); C('t', bootstrap_servers='file:' + sys.argv[1])",
    ):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED + program, directory], capture_output=True, text=True, timeout=60
        )
        assert done.returncode != 0 and "KeyboardInterrupt" in done.stderr, done.stderr
        assert other.is_held()
    other.go_on()
    with kafkalite.open(directory) as again:
        assert again.topic_names() == ["t", "u"]


INTERRUPTED = """
import signal
def interrupt(*arguments):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
def wait(again=0): signal.setitimer(signal.ITIMER_REAL, 0.3, again)  # what is raised in an import's callback is ignored
"""


def test_the_close_of_a_store(log, other, directory):
    run = INTERRUPTED + (
        "import sys, kafkalite\n"
        "log = kafkalite.open(sys.argv[1])\n"
        "print('ready', flush=True); sys.stdin.readline(); wait()\n"
        "try: log.close()\n"
        "except KeyboardInterrupt: print('interrupted', log.closed, flush=True)\n"
        "sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", run, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    other.hold()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "interrupted True\n"
    assert other.is_held()
    process.stdin.close()
    process.wait(60)  # with the close still under way
    process.stdout.close()
    other.go_on()


def test_the_drop_in(log, other, servers):
    consumer = KafkaConsumer("t", bootstrap_servers=servers, group_id="new", auto_offset_reset="earliest",
                             enable_auto_commit=False)
    other.hold()
    for wait in (lambda: consumer.poll(60_000), lambda: next(consumer)):
        with interrupted():
            wait()
    other.go_on()
    assert len(consumer.poll(60_000)[TopicPartition("t", 0)]) == 10
    other.hold()
    with interrupted():
        consumer.commit()
    with interrupted():
        consumer.close()
    other.go_on()


@pytest.fixture
def sender(log, directory):
    """Stopped while it appends to partition 0."""
    log.create_topic("big", partitions=2, config={"segment.bytes": 1 << 24, "retention.bytes": 1 << 24})
    process = Other(SENDS, directory)
    with log.producer(max_block_ms=1) as probe:

        def is_held():
            try:
                probe.send("big", b"", partition=0)
            except errors.BusyError as error:
                return f"pid {process.process.pid} " in str(error)  # and not a thread of ours that did not come to run
            return False

        process.stop(is_held)
        yield process
    process.end()


@pytest.mark.parametrize("properties", [{}, {"acks": "all"}, {"linger_ms": 60_000, "batch_size": 1}])
def test_sends_wait_for_who_appends(log, sender, properties):
    producer = log.producer(max_block_ms=600_000, **properties)
    calls = [lambda: producer.send("big", b"v", partition=0)]
    if "linger_ms" in properties:
        producer.send("big", b"v", partition=0)
        calls.append(producer.flush)
    else:
        calls.append(lambda: producer.send_many("big", [(b"k", b"v")], partition=0))
    for call in calls:
        with interrupted():
            call()
    sender.go_on()
    producer.send("big", b"last", partition=1)
    producer.close()
    assert [record.value for record in log.topic("big").read(1)] == [b"last"]


SYNCS = """
import sys, kafkalite
log = kafkalite.open(sys.argv[1])
producer = log.producer(acks="all")
print("ready", flush=True)
while True:
    producer.send("t", bytes(100_000), partition=0)
"""


@pytest.fixture
def syncer(log, directory):
    """Stopped while it syncs partition 0, for all who wait, and does not append to it."""
    log.create_topic("t", partitions=2, config={"segment.bytes": 1 << 24, "retention.bytes": 1 << 24})
    process = Other(SYNCS, directory)
    topic = log.topic("t")
    with log.producer(max_block_ms=1) as probe:

        def is_held():
            try:
                probe.send("t", b"", partition=0)
                topic.wait_durable(timeout=0.03)
            except errors.BusyError:
                return False
            except errors.KafkaTimeoutError as error:
                return f"synced by pid {process.process.pid} " in str(error)  # and not by a thread of ours
            return False

        process.stop(is_held)
        yield process
    process.end()


def sent(log, value):
    """How many there are of it."""
    return sum(record.value == value for record in log.topic("t").read())


@pytest.mark.parametrize("way", ["send", "many"])
def test_what_is_in_the_log_is_not_sent_again_while_its_sync_is_waited_for(log, syncer, way):
    with log.producer(acks="all") as producer:

        def send(value):
            if way == "send":
                return [producer.send("t", value, partition=0), producer.send("t", value, partition=1)]
            return list(producer.send_many("t", [(b"", value, None), (b"k", value, [("h", b"")]), (None, value, ())]))

        with interrupted():
            send(b"first")
        assert 1 <= sent(log, b"first") <= 3
        # Signals whose handlers raise nothing: the call goes on, and comes to its end.
        ticks = []

        def tick(*arguments):
            ticks.append(1)
            if len(ticks) == 20:
                syncer.end()

        before = signal.signal(signal.SIGALRM, tick)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        offsets = send(b"second")
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        assert len(ticks) >= 20 and sent(log, b"second") == len(offsets)
        for place in offsets:
            assert [r.value for r in log.topic("t").read(place.partition, place.offset, place.offset + 1)] == [b"second"]


def test_commits_and_deletions_wait_for_the_sync_of_what_they_cover(log, syncer):
    end = log.topic("t").end_offset()
    for call in (
        lambda: log.groups["g"].commit({("t", 0): end}),
        lambda: log.topic("t").delete_records(0, end),
        log.sync,
        log.topic("t").wait_durable,
    ):
        with interrupted():
            call()
    assert log.groups["g"].committed() == {} and log.topic("t").start_offset() < end
    syncer.go_on()
    log.groups["g"].commit({("t", 0): end})
