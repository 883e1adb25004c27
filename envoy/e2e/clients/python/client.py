"""The kafka-python client of the end-to-end tests: client.py VERB name=value... Prints one JSON object."""

import json
import sys
import time
import zlib

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic


class Tally:
    """What was sent or received, in a form that every client computes alike and that no order changes."""

    def __init__(self):
        self.count = 0
        self.checksum = 0
        self.partitions = {}

    def add(self, partition, key, value):
        self.count += 1
        self.checksum = (self.checksum + (zlib.crc32(key) << 32 | zlib.crc32(value))) % 2**64
        self.partitions[partition] = self.partitions.get(partition, 0) + 1

    def report(self):
        return {"count": self.count, "checksum": str(self.checksum), "partitions": self.partitions}


def create_topic(args):
    admin = KafkaAdminClient(**connection(args))
    topic = NewTopic(args["topic"], int(args["partitions"]), int(args.get("replication", -1)))
    admin.create_topics([topic])
    admin.close()
    return {"partitions": int(args["partitions"])}


def produce(args):
    acks = args.get("acks", "all")
    acks = acks if acks == "all" else int(acks)
    producer = KafkaProducer(acks=acks, enable_idempotence=acks == "all", linger_ms=5, **connection(args))
    first = int(args.get("first", 0))
    tally = send(producer, args, range(first, first + int(args["count"])))
    producer.close()
    return tally.report()


def transact(args):
    """Aborts one transaction, then commits another."""
    producer = KafkaProducer(transactional_id=args["transactional_id"], **connection(args))
    count = int(args["count"])
    producer.init_transactions()
    producer.begin_transaction()
    send(producer, args, range(count, 2 * count))
    producer.abort_transaction()
    producer.begin_transaction()
    tally = send(producer, args, range(count))
    producer.commit_transaction()
    producer.close()
    return tally.report()


def consume(args):
    consumer = KafkaConsumer(
        args["topic"],
        group_id=args["group"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level=args.get("config.isolation.level", "read_uncommitted"),
        **connection(args),
    )
    tally = Tally()
    deadline = time.monotonic() + int(args["timeout_ms"]) / 1000
    while tally.count < int(args["count"]) and time.monotonic() < deadline:
        # Long: kafka-python 3.0.12 never gets partitions when the time ends between JoinGroup and SyncGroup.
        for records in consumer.poll(timeout_ms=10_000).values():
            for record in records:
                tally.add(record.partition, record.key, record.value)
    consumer.commit()
    consumer.close()
    return tally.report()


def send(producer, args, indexes):
    size = int(args["size"])
    sent = []
    for index in indexes:
        key = b"key-%d" % index
        value = (b"%010d" % index).ljust(size, b"x")
        sent.append((producer.send(args["topic"], key=key, value=value), key, value))
    producer.flush()
    tally = Tally()
    for future, key, value in sent:
        tally.add(future.get(timeout=30).partition, key, value)
    return tally


def connection(args):
    return {"bootstrap_servers": args["bootstrap"].split(","), "client_id": "kafka-python"}


VERBS = {"create-topic": create_topic, "produce": produce, "transact": transact, "consume": consume}

if __name__ == "__main__":
    arguments = dict(word.split("=", 1) for word in sys.argv[2:])
    print(json.dumps(VERBS[sys.argv[1]](arguments)))
