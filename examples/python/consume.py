# SPDX-License-Identifier: MIT
"""Read what is there, print it, and say how far it came.

    consume.py DIR [TOPIC [GROUP]]        the topic is "orders" when none is named

One line a record, separated by tabs: partition, offset, key, value, headers. With a group it goes
on where that group has committed, and commits what it has printed; without one it reads everything.
"""
import sys

import kafkalite


def text(data):
    return "(none)" if data is None else data.decode(errors="replace")


def main(directory, topic="orders", group=None):
    # A service would leave stop_at_end out, and wait for more.
    with kafkalite.open(directory) as log:
        with log.consumer(topic, group=group, start="earliest", stop_at_end=True) as consumer:
            for batch in consumer.batches():
                for record in batch:
                    fields = [str(record.partition), str(record.offset), text(record.key), text(record.value)]
                    fields += [f"{name}={text(value)}" for name, value in record.headers]
                    print("\t".join(fields))
                # Only now: a crash before the commit prints these again, and never leaves one out.
                if group is not None:
                    batch.commit()


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit("usage: consume.py DIR [TOPIC [GROUP]]")
    main(*sys.argv[1:])

# prints, after produce (between partitions no order is promised):
# 0	0	o-1	2 books	shop=north
# 0	1	o-1	3 books	shop=north
# 1	0	o-3	1 lamp	shop=north
# 1	1	o-3	(none)	shop=north
# 2	0	o-5	4 chairs	shop=north
