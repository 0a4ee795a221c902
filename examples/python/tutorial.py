# SPDX-License-Identifier: MIT
"""A program for kafka-python, of which only the imports were changed. No broker is running.

    tutorial.py            the store is $KAFKALITE_DIR, or ./kafkalite-data
"""
import json

from kafkalite import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafkalite.admin import NewTopic
from kafkalite.errors import TopicAlreadyExistsError


def main():
    admin = KafkaAdminClient(bootstrap_servers="localhost:9092")
    try:
        admin.create_topics([NewTopic("payments", num_partitions=3, replication_factor=1)])
    except TopicAlreadyExistsError:
        print("there already")
    admin.close()

    producer = KafkaProducer(
        bootstrap_servers="localhost:9092",
        key_serializer=str.encode,
        value_serializer=lambda value: json.dumps(value).encode(),
        acks="all",
    )
    for number in range(3):
        future = producer.send("payments", {"amount": 10 * number}, key=f"user-{number}")
        metadata = future.get(timeout=10)
        print(f"sent to partition {metadata.partition} at offset {metadata.offset}")
    producer.close()

    consumer = KafkaConsumer(
        "payments",
        bootstrap_servers="localhost:9092",
        group_id="accounting",
        auto_offset_reset="earliest",
        consumer_timeout_ms=500,
        value_deserializer=lambda data: json.loads(data.decode()),
    )
    total = sum(message.value["amount"] for message in consumer)
    print(f"total {total}")
    consumer.close()


if __name__ == "__main__":
    main()

# prints, the first time:
# sent to partition 1 at offset 0
# sent to partition 2 at offset 0
# sent to partition 2 at offset 1
# total 30
