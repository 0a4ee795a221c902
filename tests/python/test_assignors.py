# SPDX-License-Identifier: MIT
"""The assignors as functions, against kafka-python's; and the install of the package as kafka."""
import random
import sys

import pytest

from kafkalite import TopicPartition
from kafkalite.coordinator.assignors.range import RangePartitionAssignor
from kafkalite.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafkalite.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafkalite.coordinator.protocol import ConsumerProtocolMemberAssignment


class Cluster:
    def __init__(self, **topics):
        self.counts = topics

    def partitions_for_topic(self, topic):
        return set(range(self.counts[topic])) if topic in self.counts else None

    def topics(self):
        return set(self.counts)


def shares(assignor, cluster, subscriptions):
    members = {member: assignor.metadata(topics) for member, topics in subscriptions.items()}
    answer = assignor.assign(cluster, members)
    return {member: sorted(a.partitions()) for member, a in answer.items()}


def test_the_examples_of_the_book():
    cluster = Cluster(t0=3, t1=3)
    two = {"C0": ["t0", "t1"], "C1": ["t0", "t1"]}
    assert shares(RangePartitionAssignor, cluster, two) == {
        "C0": [("t0", 0), ("t0", 1), ("t1", 0), ("t1", 1)], "C1": [("t0", 2), ("t1", 2)]}
    assert shares(RoundRobinPartitionAssignor, cluster, two) == {
        "C0": [("t0", 0), ("t0", 2), ("t1", 1)], "C1": [("t0", 1), ("t1", 0), ("t1", 2)]}
    uneven = {"C0": ["t0"], "C1": ["t0", "t1"], "C2": ["t0", "t1", "t2"]}
    told = shares(StickyPartitionAssignor, Cluster(t0=1, t1=2, t2=3), uneven)
    assert sorted(map(len, told.values())) == [1, 2, 3]


def test_a_topic_that_is_not_there_is_passed_over():
    for assignor in (RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor):
        assert shares(assignor, Cluster(t=1), {"C": ["t", "gone"]}) == {"C": [("t", 0)]}


def random_case(chance):
    cluster = Cluster(**{f"t{n}": chance.randrange(1, 9) for n in range(chance.randrange(1, 6))})
    topics = sorted(cluster.topics())
    members = {f"C{n}": sorted(chance.sample(topics, chance.randrange(1, len(topics) + 1)))
               for n in range(chance.randrange(1, 7))}
    return cluster, members


def test_range_and_roundrobin_agree_with_kafka_python():
    pytest.importorskip("kafka.coordinator.assignors.range")
    from kafka.coordinator.assignors.range import RangePartitionAssignor as TheirRange
    from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor as TheirRoundRobin

    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(200):
        cluster, members = random_case(chance)
        for ours, theirs in ((RangePartitionAssignor, TheirRange), (RoundRobinPartitionAssignor, TheirRoundRobin)):
            mine = ours.assign(cluster, {m: ours.metadata(t) for m, t in members.items()})
            other = theirs.assign(cluster, {m: theirs.metadata(t) for m, t in members.items()})
            assert {m: sorted(a.partitions()) for m, a in mine.items()} == {
                m: sorted(tuple(p) for p in a.partitions()) for m, a in other.items()}
    assert ours.metadata(["a", "b"]).encode() == theirs.metadata(["a", "b"]).encode()
    sticky = pytest.importorskip("kafka.coordinator.assignors.sticky.sticky_assignor")
    places = [TopicPartition("a", 1), TopicPartition("b", 0)]
    assert (StickyPartitionAssignor._metadata(["a"], places, 5).user_data
            == sticky.StickyAssignorUserDataV1([("a", [1]), ("b", [0])], 5).encode())


def balanced(cluster, members, told):
    takers = {}
    for member, topics in members.items():
        for topic in topics:
            for number in cluster.partitions_for_topic(topic) or ():
                takers.setdefault((topic, number), set()).add(member)
    given = [place for places in told.values() for place in places]
    assert sorted(given) == sorted(takers), "each partition once"
    for member, places in told.items():
        for place in places:
            assert member in takers[place]
            for other in takers[place]:
                assert len(told[other]) + 1 >= len(told[member]), "a move would make it more even"


def test_sticky_is_even_and_moves_little():
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(200):
        cluster, members = random_case(chance)
        told = shares(StickyPartitionAssignor, cluster, members)
        balanced(cluster, members, told)
        again = StickyPartitionAssignor.assign(cluster, {
            member: StickyPartitionAssignor._metadata(topics, told[member], 1) for member, topics in members.items()})
        assert {m: sorted(a.partitions()) for m, a in again.items()} == told, "nothing moves without a reason"
        if len(members) > 1:
            left = dict(members)
            left.pop(sorted(left)[0])
            rest = StickyPartitionAssignor.assign(cluster, {
                member: StickyPartitionAssignor._metadata(topics, told[member], 1) for member, topics in left.items()})
            balanced(cluster, left, {m: a.partitions() for m, a in rest.items()})
            if len({tuple(t) for t in left.values()}) == 1:
                assert all(set(told[m]) <= set(rest[m].partitions()) for m in left), "what it had it keeps"


def test_sticky_remembers_what_its_member_was_given():
    assert StickyPartitionAssignor.metadata(["t"]).user_data == b""
    try:
        StickyPartitionAssignor.on_assignment(ConsumerProtocolMemberAssignment(0, [("t", [0, 2])], b""))
        StickyPartitionAssignor.on_generation_assignment(7)
        told = StickyPartitionAssignor.parse_member_metadata(StickyPartitionAssignor.metadata(["t"]))
        assert told == (["t"], [("t", 0), ("t", 2)], 7)
    finally:
        StickyPartitionAssignor.member_assignment = None
        StickyPartitionAssignor.generation = -1
    older = StickyPartitionAssignor._metadata(["t"], [("t", 0)], 1)
    newer = StickyPartitionAssignor._metadata(["t"], [("t", 0)], 2)
    answer = StickyPartitionAssignor.assign(Cluster(t=1), {"old": older, "new": newer})
    assert answer["new"].partitions() == [("t", 0)] and answer["old"].partitions() == []
    garbage = newer._replace(user_data=b"\0\0\0\5x")
    assert StickyPartitionAssignor.parse_member_metadata(garbage).partitions == []


def test_sticky_gives_back_what_members_had_before_they_were_away():
    cluster, everybody = Cluster(t=6), ["C1", "C2", "C3"]
    first = shares(StickyPartitionAssignor, cluster, {member: ["t"] for member in everybody})
    own = lambda places, generation: StickyPartitionAssignor._metadata(["t"], places, generation)
    alone = StickyPartitionAssignor.assign(cluster, {"C2": own(first["C2"], 1)})["C2"].partitions()
    assert len(alone) == 6
    back = StickyPartitionAssignor.assign(
        cluster, {"C1": own(first["C1"], 1), "C2": own(alone, 2), "C3": own(first["C3"], 1)})
    assert {member: sorted(back[member].partitions()) for member in everybody} == first


def test_installed_as_kafka():
    import kafkalite
    from kafkalite import _install

    before = {name for name in sys.modules if name.split(".")[0] == "kafka"}
    kafkalite.install_as_kafka()
    kafkalite.install_as_kafka()
    try:
        import kafka
        import kafka.consumer.group
        from kafka.errors import KafkaError
        from kafka.structs import TopicPartition as Theirs

        assert kafka is kafkalite and KafkaError is kafkalite.KafkaliteError and Theirs is TopicPartition
        assert kafka.consumer.group.KafkaConsumer is kafkalite.KafkaConsumer
        with pytest.raises(ImportError):
            import kafka.nonsense  # noqa: F401
        with pytest.raises(Exception, match="no connections"):
            kafka.BrokerConnection("host", 9092, 0)
    finally:
        _install.uninstall()
    assert before or "kafka" not in sys.modules
