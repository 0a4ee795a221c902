# SPDX-License-Identifier: MIT
"""Every public name, argument, default and error of Debian's python3-kafka (2.0.2) is here too."""
import importlib
import inspect
import pkgutil

import pytest

import kafkalite

kafka = pytest.importorskip("kafka", minversion=None)
if kafka.__version__ != "2.0.2":
    pytest.skip("compared with 2.0.2", allow_module_level=True)

CLASSES = [
    ("kafka", "KafkaProducer"),
    ("kafka", "KafkaConsumer"),
    ("kafka", "KafkaAdminClient"),
    ("kafka", "ConsumerRebalanceListener"),
    ("kafka", "Serializer"),
    ("kafka", "Deserializer"),
    ("kafka.future", "Future"),
    ("kafka.producer.future", "FutureRecordMetadata"),
    ("kafka.admin", "NewTopic"),
    ("kafka.admin", "NewPartitions"),
    ("kafka.admin", "ConfigResource"),
    ("kafka.admin", "ACL"),
    ("kafka.admin", "ACLFilter"),
    ("kafka.admin", "ResourcePattern"),
    ("kafka.admin", "ResourcePatternFilter"),
    ("kafka.coordinator.assignors.range", "RangePartitionAssignor"),
    ("kafka.coordinator.assignors.roundrobin", "RoundRobinPartitionAssignor"),
    ("kafka.coordinator.assignors.sticky.sticky_assignor", "StickyPartitionAssignor"),
    ("kafka.partitioner", "DefaultPartitioner"),
]
# Made by the producer alone.
MADE_INSIDE = {("FutureRecordMetadata", "__init__")}


def pair(module, name):
    ours = importlib.import_module(module.replace("kafka", "kafkalite", 1))
    return getattr(importlib.import_module(module), name), getattr(ours, name)


def public_methods(kind):
    """Of the class and what it derives from; a Python 2 relic is none."""
    for name, method in inspect.getmembers(kind, callable):
        if name == "__init__" or (not name.startswith("_") and not inspect.isclass(method)):
            yield name, method


@pytest.mark.parametrize("module, name", CLASSES)
def test_methods_take_what_they_took(module, name):
    theirs, ours = pair(module, name)
    for method_name, method in public_methods(theirs):
        if (name, method_name) in MADE_INSIDE or method_name.startswith("next_v"):
            continue
        mine = getattr(ours, method_name, None)
        assert callable(mine), f"{name}.{method_name} is missing"
        try:
            wanted = inspect.signature(method).parameters
            given = inspect.signature(mine).parameters
        except ValueError:
            continue
        positional = [p.name for p in wanted.values() if p.kind == p.POSITIONAL_OR_KEYWORD and p.name != "self"]
        mine_positional = [p.name for p in given.values() if p.kind == p.POSITIONAL_OR_KEYWORD and p.name != "self"]
        kinds = {p.kind for p in given.values()}
        assert mine_positional[: len(positional)] == positional, f"{name}.{method_name}{inspect.signature(mine)}"
        for parameter in wanted.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                assert parameter.kind in kinds, f"{name}.{method_name}"
            elif parameter.default is not parameter.empty:
                assert given[parameter.name].default == parameter.default, f"{name}.{method_name}({parameter.name})"
        for parameter in list(given.values()):
            if parameter.name not in wanted and parameter.kind == parameter.POSITIONAL_OR_KEYWORD:
                assert parameter.default is not parameter.empty, f"{name}.{method_name}: {parameter.name} is needed"


@pytest.mark.parametrize("name", ["KafkaProducer", "KafkaConsumer", "KafkaAdminClient"])
def test_options_have_their_defaults(name):
    theirs, ours = pair("kafka", name)
    wanted, given = theirs.DEFAULT_CONFIG, ours.DEFAULT_CONFIG
    assert set(given) == set(wanted)
    differ = {"client_id", "partitioner", "partition_assignment_strategy", "default_offset_commit_callback"}
    for option, default in wanted.items():
        if option not in differ:
            assert given[option] == default, option
    if name == "KafkaConsumer":
        assert [k.name for k in given["partition_assignment_strategy"]] == [
            k.name for k in wanted["partition_assignment_strategy"]]
        assert given["default_offset_commit_callback"]({}, None) is True


NAMED_TUPLES = [
    ("kafka.structs", "TopicPartition"),
    ("kafka.structs", "BrokerMetadata"),
    ("kafka.structs", "PartitionMetadata"),
    ("kafka.structs", "OffsetAndMetadata"),
    ("kafka.structs", "OffsetAndTimestamp"),
    ("kafka.structs", "MemberInformation"),
    ("kafka.structs", "GroupInformation"),
    ("kafka.structs", "RetryOptions"),
    ("kafka.consumer.fetcher", "ConsumerRecord"),
    ("kafka.producer.future", "RecordMetadata"),
]
LONGER = {"OffsetAndMetadata", "OffsetAndTimestamp"}  # by the third field of later versions


@pytest.mark.parametrize("module, name", NAMED_TUPLES)
def test_values_have_their_fields(module, name):
    theirs, ours = pair(module, name)
    wanted = theirs._fields
    assert ours._fields[: len(wanted)] == wanted
    assert name in LONGER or ours._fields == wanted
    value = ours(*range(len(wanted)))
    assert [getattr(value, field) for field in wanted] == list(range(len(wanted)))


def test_offsets_compare_with_two_and_with_three_fields():
    from kafkalite.structs import OffsetAndTimestamp

    assert OffsetAndTimestamp(1, 2) == OffsetAndTimestamp(1, 2, -1) == (1, 2)
    assert OffsetAndTimestamp(1, 2) != OffsetAndTimestamp(1, 3)
    assert hash(OffsetAndTimestamp(1, 2)) == hash(OffsetAndTimestamp(1, 2, 9))


def test_errors_have_their_names_numbers_and_bases():
    theirs, ours = importlib.import_module("kafka.errors"), importlib.import_module("kafkalite.errors")
    count = 0
    for name, kind in vars(theirs).items():
        if not (inspect.isclass(kind) and issubclass(kind, Exception)):
            continue
        count += 1
        mine = getattr(ours, name)
        assert mine.retriable == kind.retriable and mine.invalid_metadata == kind.invalid_metadata, name
        for base in kind.__mro__:
            assert base.__name__ in {mixed.__name__ for mixed in mine.__mro__} or name in {
                "InvalidMessageError", "CorruptRecordException"}, (name, base)
        if issubclass(kind, theirs.BrokerResponseError):
            assert (mine.errno, mine.message) == (kind.errno, kind.message), name
        if kind.__init__ is RuntimeError.__init__ and mine.__name__ == name:
            assert str(mine("x")) == str(kind("x")) and str(mine()) == str(kind())
    assert count > 70
    for number, kind in theirs.kafka_errors.items():
        assert ours.for_code(number).errno == number
    assert ours.for_code(4711) is ours.UnknownError
    assert len(ours.RETRY_ERROR_TYPES) == len(theirs.RETRY_ERROR_TYPES)


def test_modules_have_their_names():
    """What programs import; what lies behind a network is not among it."""
    behind = ("protocol", "record", "vendor.", "metrics.", "cluster", "util", "scram", "client_async",
              "conn", "coordinator.base", "coordinator.consumer", "coordinator.heartbeat", "coordinator.protocol",
              "producer.buffer", "producer.record_accumulator", "producer.sender", "coordinator.assignors.sticky.")
    for found in pkgutil.walk_packages(kafka.__path__, "kafka."):
        short = found.name[len("kafka."):]
        if short.startswith(behind) and not short.endswith("sticky_assignor"):
            continue
        importlib.import_module("kafkalite." + short)
    for name in kafka.__all__ + ["TopicPartition", "OffsetAndMetadata", "Serializer", "Deserializer", "__version__"]:
        assert getattr(kafkalite, name) is not None
    for name in importlib.import_module("kafka.admin").__all__:
        assert getattr(importlib.import_module("kafkalite.admin"), name) is not None


@pytest.mark.parametrize("name", ["ResourceType", "ACLOperation", "ACLPermissionType", "ACLResourcePatternType",
                                  "ConfigResourceType"])
def test_words_have_their_numbers(name):
    theirs, ours = pair("kafka.admin", name)
    assert {k: int(v) for k, v in ours.__members__.items()} == {k: int(v) for k, v in theirs.__members__.items()}


def test_murmur2_agrees():
    from kafka.partitioner import murmur2 as theirs

    from kafkalite.partitioner import murmur2 as ours

    for size in range(64):
        key = bytes((size * 37 + n * 101) & 255 for n in range(size))
        assert ours(key) == theirs(key)
        assert ours(bytearray(key)) == ours(memoryview(key)) == theirs(key)
