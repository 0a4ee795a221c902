# SPDX-License-Identifier: MIT
"""A signal whose handler raises an error, at any moment."""
import random

import pytest

INTERRUPTED = """
import random, signal, sys
import kafkalite
log = kafkalite.open(sys.argv[1])
random.seed(int(sys.argv[3]))
got, armed = [], False

def interrupt(*arguments):
    if armed:
        raise KeyboardInterrupt

def iterate(consumer):
    for record in consumer:
        got.append(record.offset)

# Python looks at its signals on its way back to a loop's head, which may be a condition at the loop's end: nothing
# of the kind may lie between a poll and what remembers its records, or they are lost in this program, not in ours.
def poll_native(consumer):
    while True:
        batch = consumer.poll(0)
        if batch is None:
            return
        got.append(batch)

def poll_drop_in(consumer):
    while True:
        polled = consumer.poll(1)
        if not polled:
            return
        got.append(polled)

if sys.argv[2].startswith("native"):
    consumer = log.consumer("t", stop_at_end=True)
else:
    consumer = kafkalite.KafkaConsumer("t", bootstrap_servers="file:" + sys.argv[1], auto_offset_reset="earliest",
                                       consumer_timeout_ms=1)
read = {"native": poll_native, "drop-in": poll_drop_in}.get(sys.argv[2], iterate)
signal.signal(signal.SIGALRM, interrupt)
longest = 0.001  # grows, so that a slow machine comes to the end, too
while True:
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, longest))
        read(consumer)
        armed = False
        break
    except KeyboardInterrupt:
        armed, longest = False, longest * 1.1
signal.setitimer(signal.ITIMER_REAL, 0)  # the interpreter ends without its handlers
offsets = []
for what in got:
    if isinstance(what, int):
        offsets.append(what)
    elif isinstance(what, dict):
        offsets += [record.offset for records in what.values() for record in records]
    else:
        offsets += what.offsets()
assert offsets == list(range(40_000)), len(offsets)
"""


@pytest.mark.parametrize("way", ["native", "native iteration", "drop-in", "drop-in iteration"])
def test_control_c_on_the_way_of_records_loses_none(run_python, log, directory, way):
    """Between the library and the program: they come again. Whatever is committed then covers what was seen alone."""
    log.create_topic("t")
    log.producer().send_many("t", [(b"k", b"v")] * 40_000)
    seed = random.randrange(1000)
    print("seed", seed)
    run_python(INTERRUPTED, directory, way, str(seed))
