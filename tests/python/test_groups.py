# SPDX-License-Identifier: MIT
"""Consumers that share a topic's partitions: native ones, and KafkaConsumers."""
import threading
import time

import pytest

from kafkalite import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafkalite.coordinator.assignors.abstract import AbstractPartitionAssignor
from kafkalite.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafkalite.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafkalite.coordinator.protocol import member_assignment, member_metadata


def fill(log, name="t", partitions=4, each=10):
    log.create_topic(name, partitions=partitions)
    with log.producer() as producer:
        for number in range(partitions):
            producer.send_many(name, [(None, b"%d" % n) for n in range(each)], partition=number)


def settle(*consumers, until, rounds=500):
    """Poll all in turn until it holds; answers what was read."""
    seen = []
    for _ in range(rounds):
        for consumer in consumers:
            batch = consumer.poll(0.01)
            seen += [(r.topic, r.partition, r.offset) for r in batch or ()]
        if until():
            return seen
    raise AssertionError([c.assignment() for c in consumers])


def test_members_share_and_take_over(log):
    fill(log)
    first, second = [log.consumer("t", group="g", enable_auto_commit=True) for _ in range(2)]
    seen = settle(first, second, until=lambda: len(first.assignment()) == len(second.assignment()) == 2)
    assert set(first.assignment()).isdisjoint(second.assignment())
    assert first.member()[0] != second.member()[0] and first.member()[1] == second.member()[1]
    told = log.group("g").describe()
    assert told.state in ("Stable", "CompletingRebalance") and told.assignor == "range" and len(told.members) == 2
    first.close()
    seen += settle(second, until=lambda: sum(second.assignment().values()) == 40)
    second.close()
    assert sorted(seen) == [("t", p, n) for p in range(4) for n in range(10)], "each once"
    assert log.group("g").describe().state == "Empty" and log.group("g").lag() == {("t", p): 0 for p in range(4)}


def test_listeners_and_a_commit_while_partitions_go(log):
    fill(log, partitions=2)
    told = []
    first = log.consumer(group="g")

    def revoked(places):
        told.append(("revoked", sorted(places)))
        first.commit()

    first.subscribe(["t"], on_assigned=lambda p: told.append(("assigned", sorted(p))), on_revoked=revoked)
    settle(first, until=lambda: told)
    assert told == [("assigned", [("t", 0), ("t", 1)])]
    while first.poll(0.05):
        pass
    second = log.consumer("t", group="g")
    seen = settle(first, second, until=lambda: len(second.assignment()) == 1)
    (gone,) = second.assignment()
    assert told[1] == ("revoked", [gone])
    assert seen == [] and second.position(gone) == 10, "what was read of it was committed"
    first.close()
    second.close()


def test_subscribing_and_leaving(log):
    fill(log, partitions=1)
    fill(log, "logs-1", partitions=1)
    consumer = log.consumer(group="g")
    with pytest.raises(errors.UnknownMemberIdError):
        consumer.member()
    consumer.subscribe(pattern="logs-.*")
    assert consumer.subscription() == ["logs-1"]
    settle(consumer, until=lambda: list(consumer.assignment()) == [("logs-1", 0)])
    with pytest.raises(errors.ArgumentValueError):
        consumer.assign([("t", 0)])
    consumer.unsubscribe()
    assert consumer.assignment() == {} and consumer.subscription() == []
    consumer.assign([("t", 0)])
    assert len(consumer.poll(0)) == 10
    consumer.close()


def test_asynchronous_commits(log):
    fill(log, partitions=1)
    told = []
    with log.consumer("t", group="g") as consumer:
        settle(consumer, until=lambda: consumer.assignment().get(TopicPartition("t", 0)) == 10)
        first = consumer.commit_async({("t", 0): 3}, lambda *a: told.append(a))
        second = consumer.commit_async(callback=lambda *a: told.append(a))
        assert second > first
        consumer.wait_commits(10)
        assert told == [({("t", 0): 3}, None), ({("t", 0): 10}, None)]
        assert log.groups["g"].committed()[("t", 0)].offset == 10


def test_resetting_and_deleting(log):
    fill(log, partitions=2)
    group = log.groups["g"]
    assert group.reset("earliest", topics=["t"], dry_run=True) == {("t", 0): 0, ("t", 1): 0}
    assert group.committed() == {}
    group.commit({("t", 0): 5})
    assert group.reset("latest") == {("t", 0): 10} and group.committed()[("t", 0)].offset == 10
    assert group.reset(4, topics=["t"]) == {("t", 0): 4, ("t", 1): 4}
    group.delete_offsets([("t", 1)])
    assert list(group.committed()) == [("t", 0)]
    consumer = log.consumer("t", group="g")
    settle(consumer, until=consumer.assignment)
    with pytest.raises(errors.NonEmptyGroupError):
        group.delete()
    with pytest.raises(errors.UnknownMemberIdError):
        group.reset("earliest")
    consumer.close()
    group.delete()
    with pytest.raises(errors.GroupIdNotFoundError):
        group.delete()
    assert log.groups.names() == []


def test_a_static_member_keeps_its_place(log):
    fill(log, partitions=2)
    first = log.consumer("t", group="g", group_instance_id="one")
    settle(first, until=lambda: len(first.assignment()) == 2)
    first.close()
    again = log.consumer("t", group="g", group_instance_id="one")
    settle(again, until=lambda: len(again.assignment()) == 2)
    newer = log.consumer("t", group="g", group_instance_id="one")
    settle(newer, until=lambda: len(newer.assignment()) == 2)
    with pytest.raises(errors.FencedInstanceIdError):
        again.poll(1)
    newer.close()
    again.close()


# The drop-in -----------------------------------------------------------------------------------


@pytest.fixture
def member(servers):
    made = []

    def make(*topics, **options):
        options = {"auto_offset_reset": "earliest", "group_id": "g", **options}
        made.append(KafkaConsumer(*topics, bootstrap_servers=servers, **options))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


def turn(*consumers, until, rounds=500):
    seen = []
    for _ in range(rounds):
        for consumer in consumers:
            seen += [(r.partition, r.offset) for rows in consumer.poll(10).values() for r in rows]
        if until():
            return seen
    raise AssertionError([c.assignment() for c in consumers])


class Listener(ConsumerRebalanceListener):
    def __init__(self, act=None):
        self.told, self.act = [], act

    def on_partitions_revoked(self, revoked):
        self.told.append(("revoked", set(revoked)))
        if self.act:
            self.act()

    def on_partitions_assigned(self, assigned):
        self.told.append(("assigned", set(assigned)))


def test_three_in_turn_from_one_thread(log, member):
    fill(log, partitions=6)
    consumers = [member("t") for _ in range(3)]
    seen = turn(*consumers, until=lambda: [len(c.assignment()) for c in consumers] == [2, 2, 2])
    assert len(set().union(*(c.assignment() for c in consumers))) == 6
    assert {c.group_metadata().generation_id for c in consumers} != {-1}
    consumers[0].close()
    rest = consumers[1:]
    seen += turn(*rest, until=lambda: [len(c.assignment()) for c in rest] == [3, 3])
    rest[0].close()
    seen += turn(rest[1], until=lambda: len(rest[1].assignment()) == 6)
    assert sorted(seen) == [(p, n) for p in range(6) for n in range(10)], "automatic commits: each once"


def test_a_listener_of_kafka_python(log, member):
    fill(log, partitions=2)
    first = member(enable_auto_commit=False)
    listener = Listener(act=lambda: first.commit())
    first.subscribe(["t"], listener=listener)
    turn(first, until=lambda: listener.told)
    assert listener.told == [("assigned", {("t", 0), ("t", 1)})]
    while first.poll(20):
        pass
    second = member("t", enable_auto_commit=False)
    assert turn(first, second, until=lambda: second.assignment()) == []
    (gone,) = second.assignment()
    assert listener.told[1] == ("revoked", {gone})
    assert second.committed(gone) == 10


class Clumsy(ConsumerRebalanceListener):
    """Fails once in each of its methods."""

    def __init__(self):
        self.failed, self.told = [], []

    def _hear(self, kind, places):
        self.told.append((kind, set(places)))
        if kind not in self.failed:
            self.failed.append(kind)
            raise ZeroDivisionError(kind)

    def on_partitions_revoked(self, revoked):
        self._hear("revoked", revoked)

    def on_partitions_assigned(self, assigned):
        self._hear("assigned", assigned)


def share_with_a_clumsy_one(first, second, clumsy, poll):
    """Its listener fails once for each kind of news: each record comes once all the same."""
    seen = []
    while len(seen) < 20:
        seen += poll(first)
    assert clumsy.failed == ["assigned"] and set(first.assignment()) == {("t", 0), ("t", 1)}
    second.subscribe(["t"])
    for _ in range(500):
        seen += poll(first) + poll(second)
        if second.assignment():
            break
    assert clumsy.failed == ["assigned", "revoked"]
    assert len(first.assignment()) == len(second.assignment()) == 1
    assert sorted(seen) == [(p, n) for p in range(2) for n in range(10)], "each once"
    second.close()
    for _ in range(500):
        poll(first)
        if len(first.assignment()) == 2:
            break
    assert clumsy.told[-1][0] == "assigned" and len(first.assignment()) == 2


def test_an_error_of_a_listener_is_the_callers_and_changes_no_assignment(log):  # kafka:E16
    fill(log, partitions=2)
    first, second = [log.consumer(group="g", enable_auto_commit=True) for _ in range(2)]
    clumsy, met = Clumsy(), []
    first.subscribe(
        ["t"], on_assigned=clumsy.on_partitions_assigned, on_revoked=clumsy.on_partitions_revoked)

    def poll(consumer):
        try:
            return [(r.partition, r.offset) for r in consumer.poll(0.01) or ()]
        except ZeroDivisionError as error:
            met.append(str(error))
            return []

    share_with_a_clumsy_one(first, second, clumsy, poll)
    assert met == ["assigned", "revoked"]
    first.close()


def test_an_error_of_a_listener_of_kafka_python_is_logged(log, member, caplog):
    fill(log, partitions=2)
    first, second, clumsy = member(), member(), Clumsy()
    first.subscribe(["t"], listener=clumsy)
    share_with_a_clumsy_one(
        first, second, clumsy,
        lambda consumer: [(r.partition, r.offset) for rows in consumer.poll(10).values() for r in rows])
    met = [r.exc_info[1].args[0] for r in caplog.records if r.exc_info]
    assert met == ["assigned", "revoked"]


def test_pausing_ends_with_the_assignment(log, member):
    fill(log, partitions=2)
    first = member("t")
    turn(first, until=lambda: len(first.assignment()) == 2)
    first.pause(*first.assignment())
    second = member("t")
    turn(first, second, until=lambda: len(second.assignment()) == 1)
    (gone,) = second.assignment()
    kept = {("t", 1 - gone.partition)}
    assert first.paused() == kept
    second.close()
    turn(first, until=lambda: len(first.assignment()) == 2)
    assert first.paused() == kept


def test_a_member_that_lost_its_place_cannot_commit(log, member):
    fill(log, partitions=1)
    slow = member("t", max_poll_interval_ms=100, enable_auto_commit=False)
    turn(slow, until=lambda: slow.assignment())
    quick = member("t", enable_auto_commit=False)
    turn(quick, until=lambda: quick.assignment())
    with pytest.raises(errors.CommitFailedError):
        slow.commit({TopicPartition("t", 0): 1})
    met = []
    future = slow.commit_async({TopicPartition("t", 0): 1}, callback=lambda *a: met.append(a[1]))
    deadline = time.monotonic() + 10
    while not future.is_done and time.monotonic() < deadline:
        slow.poll(10)
        quick.poll(10)
    assert future.failed() and isinstance(future.exception, errors.CommitFailedError) and met == [future.exception]


@pytest.mark.parametrize("strategy", [RoundRobinPartitionAssignor, StickyPartitionAssignor])
def test_other_assignors(log, member, strategy):
    fill(log, "a", 1)
    fill(log, "b", 1)
    consumers = [member("a", "b", partition_assignment_strategy=[strategy]) for _ in range(2)]
    turn(*consumers, until=lambda: [len(c.assignment()) for c in consumers] == [1, 1])
    assert log.group("g").describe().assignor == strategy.name


class Hoarder(AbstractPartitionAssignor):
    """All to the member with the largest id."""

    name = "hoarder"

    @classmethod
    def assign(cls, cluster, members):
        topics = {topic for data in members.values() for topic in data.subscription}
        everything = {topic: sorted(cluster.partitions_for_topic(topic)) for topic in topics}
        return {m: member_assignment(everything if m == max(members) else {}) for m in members}

    @classmethod
    def metadata(cls, topics):
        return member_metadata(topics)

    @classmethod
    def on_assignment(cls, assignment):
        pass


def test_an_assignor_of_the_program(log, member):
    fill(log)
    consumers = [member("t", partition_assignment_strategy=[Hoarder]) for _ in range(2)]
    turn(*consumers, until=lambda: sorted(len(c.assignment()) for c in consumers) == [0, 4])
    assert log.group("g").describe().assignor == "user:hoarder"
    with pytest.raises(TypeError):
        member("t", partition_assignment_strategy=[object()])


def test_no_common_assignor(log, member):
    fill(log)
    first = member("t", partition_assignment_strategy=[RoundRobinPartitionAssignor])
    turn(first, until=first.assignment)
    second = member("t", partition_assignment_strategy=[StickyPartitionAssignor])
    with pytest.raises(errors.InconsistentGroupProtocolError):
        second.poll(1000)


def test_a_pattern_in_a_group(log, member, servers):
    fill(log, "app-1", 1)
    first = member(max_poll_records=100)
    first.subscribe(pattern="^app")
    turn(first, until=lambda: first.assignment() == {("app-1", 0)})
    fill(log, "app-2", 1)
    turn(first, until=lambda: first.assignment() == {("app-1", 0), ("app-2", 0)})
    assert first.subscription() == {"app-1", "app-2"}


def test_members_in_threads_lose_and_repeat_nothing(log, member, servers):
    log.create_topic("t", partitions=8)
    seen, lock, stop = [], threading.Lock(), threading.Event()

    def consume(lives):
        for _ in range(lives):
            consumer = KafkaConsumer("t", bootstrap_servers=servers, group_id="g", auto_offset_reset="earliest",
                                     consumer_timeout_ms=50)
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                for rows in consumer.poll(20).values():
                    with lock:
                        seen.extend((r.partition, r.offset) for r in rows)
            consumer.close()

    threads = [threading.Thread(target=consume, args=(4,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    with KafkaProducer(bootstrap_servers=servers) as producer:
        for n in range(2000):
            producer.send("t", b"%d" % n, key=b"%d" % n)
    for thread in threads:
        thread.join(60)
    last = member("t")
    seen += turn(last, until=lambda: len(last.assignment()) == 8)
    deadline = time.monotonic() + 20
    while len(set(seen)) < 2000 and time.monotonic() < deadline:
        seen += turn(last, until=lambda: True)
    assert len(set(seen)) == 2000 and len(seen) == 2000
    stop.set()
