"""Calls what kafka-python can call: kafka_python.py BOOTSTRAP [MAJOR.MINOR], the broker version that it shall assume."""

import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

bootstrap, *assumed = sys.argv[1:]
BASE = {"bootstrap_servers": bootstrap, "client_id": "kafka-python"}
if assumed:
    BASE["api_version"] = tuple(int(part) for part in assumed[0].split("."))
TOPIC = "letters" + "".join(assumed)


def attempt(what, call):
    try:
        return call()
    except Exception as error:  # a refusal is a frame too
        print(f"{what}: {error!r}", file=sys.stderr)


def administer():
    admin = KafkaAdminClient(**BASE)
    attempt("create", lambda: admin.create_topics([NewTopic(TOPIC, 2, 1)]))
    attempt("topics", lambda: admin.describe_topics([TOPIC]))
    attempt("cluster", lambda: admin.describe_cluster())
    attempt("configs", lambda: admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)]))
    return admin


def produce():
    for settings in [{"acks": "all"}, {"acks": 1}, {"acks": 0}, {"compression_type": "gzip"}]:
        producer = KafkaProducer(linger_ms=20, enable_idempotence=settings.get("acks") == "all", **settings, **BASE)
        for index in range(20):
            producer.send(TOPIC, key=b"key-%d" % index, value=b"letter" * index)
        producer.flush()
        producer.close()


def consume():
    consumer = KafkaConsumer(TOPIC, group_id="py" + TOPIC, auto_offset_reset="earliest", enable_auto_commit=False, **BASE)
    seen = 0
    for _ in range(60):
        seen += sum(len(records) for records in consumer.poll(timeout_ms=200).values())
        if seen >= 20:
            break
    attempt("commit", consumer.commit)
    attempt("committed", lambda: consumer.committed(TopicPartition(TOPIC, 0)))
    attempt("times", lambda: consumer.offsets_for_times({TopicPartition(TOPIC, 0): 1}))
    attempt("end", lambda: consumer.end_offsets([TopicPartition(TOPIC, 0)]))
    consumer.close()


def transact():
    producer = KafkaProducer(transactional_id="tx-" + TOPIC, **BASE)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(TOPIC, b"in a transaction")
    producer.commit_transaction()
    producer.close()


admin = attempt("administer", administer)
attempt("produce", produce)
attempt("consume", consume)
attempt("transact", transact)
if admin:
    attempt("groups", lambda: admin.list_groups())
    attempt("groups", lambda: admin.list_consumer_groups())
    attempt("describe", lambda: admin.describe_groups(["py" + TOPIC]))
    attempt("describe", lambda: admin.describe_consumer_groups(["py" + TOPIC]))
    attempt("offsets", lambda: admin.list_group_offsets("py" + TOPIC))
    attempt("delete", lambda: admin.delete_topics([TOPIC]))
