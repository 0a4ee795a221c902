# SPDX-License-Identifier: MIT
"""What is in a store: topics, partitions, files, and how far each group has come.

    look_inside.py DIR

It may look at a store that other processes are using; nothing is changed.
"""
import sys

import kafkalite


def main(directory):
    with kafkalite.open(directory, create=False) as log:
        for topic in log:
            print(f"topic {topic.name}, {topic.partitions} partitions")
            for number in range(topic.partitions):
                used = [s for s in topic.segments(number) if s.state != "prepared"]
                print(
                    f"  {number}: offsets {topic.start_offset(number)} to {topic.end_offset(number)},"
                    f" durable to {topic.durable_offset(number)}, {len(used)} files"
                )
        for name, group in log.groups.items():
            print(f"group {name}")
            lags = group.lag()
            for place, committed in group.committed().items():
                print(f"  {place.topic}/{place.partition}: committed {committed.offset}, lag {lags[place]}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: look_inside.py DIR")
    main(sys.argv[1])

# prints, after produce and "consume DIR orders billing":
# topic orders, 3 partitions
#   0: offsets 0 to 2, durable to 2, 1 files
#   1: offsets 0 to 2, durable to 2, 1 files
#   2: offsets 0 to 1, durable to 1, 1 files
# group billing
#   orders/0: committed 2, lag 0
#   orders/1: committed 2, lag 0
#   orders/2: committed 1, lag 0
