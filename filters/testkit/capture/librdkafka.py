"""Calls what librdkafka can call, by confluent-kafka: librdkafka.py BOOTSTRAP [name=value...]."""

import sys

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, OffsetSpec

bootstrap, *more = sys.argv[1:]
BASE = {"bootstrap.servers": bootstrap, "client.id": "librdkafka", **dict(word.split("=", 1) for word in more)}
TOPIC = "invoices"


def attempt(what, call):
    try:
        result = call()
        for future in result.values() if isinstance(result, dict) else [result]:
            getattr(future, "result", lambda: None)()
    except Exception as error:  # a refusal is a frame too
        print(f"{what}: {error}", file=sys.stderr)


admin = AdminClient(BASE)
attempt("create", lambda: admin.create_topics([NewTopic(TOPIC, 2, 1), NewTopic("bills", 1, 1)]))
attempt("partitions", lambda: admin.create_partitions([NewPartitions("bills", 2)]))
attempt("configs", lambda: admin.describe_configs([ConfigResource("topic", TOPIC)]))
attempt("cluster", lambda: admin.describe_cluster())
attempt("topics", lambda: admin.list_topics(timeout=10))

for settings in [{"compression.type": "lz4"}, {"enable.idempotence": True}, {"acks": 0}, {"transactional.id": "tx-rd"}]:
    producer = Producer({**BASE, "linger.ms": 20, **settings})
    if "transactional.id" in settings:
        attempt("init", lambda: producer.init_transactions(10))
        attempt("begin", lambda: producer.begin_transaction())
    for index in range(20):
        producer.produce(TOPIC, key=b"key-%d" % index, value=b"value" * index)
        producer.produce("bills", value=b"bill-%d" % index)
    producer.flush(10)
    if "transactional.id" in settings:
        attempt("commit", lambda: producer.commit_transaction(10))

for protocol in ["classic", "consumer"]:
    consumer = Consumer({**BASE, "group.id": f"rd-{protocol}", "group.protocol": protocol, "auto.offset.reset": "earliest"})
    consumer.subscribe([TOPIC, "bills"])
    seen = 0
    for _ in range(60):
        seen += len(consumer.consume(100, 0.2))
        if seen >= 100:
            break
    attempt("commit", lambda: consumer.commit(asynchronous=False))
    attempt("committed", lambda: consumer.committed([TopicPartition(TOPIC, 0)], timeout=5))
    attempt("times", lambda: consumer.offsets_for_times([TopicPartition(TOPIC, 0, 1)], timeout=5))
    attempt("describe", lambda: admin.describe_consumer_groups([f"rd-{protocol}"]))
    consumer.close()

attempt("groups", lambda: admin.list_consumer_groups())
attempt("offsets", lambda: admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("rd-classic")]))
attempt("list offsets", lambda: admin.list_offsets({TopicPartition(TOPIC, 0): OffsetSpec.latest()}))
attempt("delete records", lambda: admin.delete_records([TopicPartition(TOPIC, 0, 1)]))
attempt("delete groups", lambda: admin.delete_consumer_groups(["rd-classic"]))
attempt("delete topics", lambda: admin.delete_topics(["bills"]))
