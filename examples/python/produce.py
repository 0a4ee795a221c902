# SPDX-License-Identifier: MIT
"""The first thing to read: open a store, create a topic, append a few records.

    produce.py DIR          DIR is created when it is not there

Records with the same key go to the same partition and stay in order there. With acks=all each of
them survives a power cut from the moment the call has told its offset.
"""
import sys

import kafkalite

ORDERS = [
    (b"o-1", b"2 books"),
    (b"o-3", b"1 lamp"),
    (b"o-5", b"4 chairs"),
    (b"o-1", b"3 books"),  # the order was changed: a newer record of the same key
    (b"o-3", None),  # the order was cancelled: a missing value, which is not an empty one
]


def main(directory):
    with kafkalite.open(directory) as log:
        log.create_topic("orders", partitions=3, exist_ok=True)
        # Properties have Kafka's names; a typing mistake is an error that suggests the right one.
        with log.producer(acks="all") as producer:
            for key, value in ORDERS:
                sent = producer.send("orders", value, key=key, headers=[("shop", b"north")])
                print(f"{key.decode()}: partition {sent.partition}, offset {sent.offset}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: produce.py DIR")
    main(sys.argv[1])

# prints, the first time:
# o-1: partition 0, offset 0
# o-3: partition 1, offset 0
# o-5: partition 2, offset 0
# o-1: partition 0, offset 1
# o-3: partition 1, offset 1
