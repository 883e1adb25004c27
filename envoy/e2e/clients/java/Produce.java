import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Verbs that write records. */
final class Produce {
    /** {@code produce topic count size [acks] [first] [pause_ms]}: the tally holds what was acknowledged. */
    static Map<String, ?> plain(Arguments arguments) throws Exception {
        Properties properties = arguments.client();
        String acks = arguments.text("acks", "all");
        properties.put("acks", acks);
        properties.put("enable.idempotence", String.valueOf(acks.equals("all")));
        try (KafkaProducer<byte[], byte[]> producer = producer(properties)) {
            int first = arguments.number("first", 0);
            return send(producer, arguments, first, first + arguments.number("count")).report();
        }
    }

    /** {@code transact topic transactional_id count size}: aborts one transaction, then commits another. */
    static Map<String, ?> transactions(Arguments arguments) throws Exception {
        Properties properties = arguments.client();
        properties.put("transactional.id", arguments.text("transactional_id"));
        int count = arguments.number("count");
        try (KafkaProducer<byte[], byte[]> producer = producer(properties)) {
            producer.initTransactions();
            producer.beginTransaction();
            send(producer, arguments, count, 2 * count);
            producer.abortTransaction();
            producer.beginTransaction();
            Tally committed = send(producer, arguments, 0, count);
            producer.commitTransaction();
            return committed.report();
        }
    }

    private static Tally send(KafkaProducer<byte[], byte[]> producer, Arguments arguments, int from, int to)
            throws Exception {
        String topic = arguments.text("topic");
        int size = arguments.number("size");
        int pause = arguments.number("pause_ms", 0);
        Tally tally = new Tally();
        AtomicReference<Exception> failure = new AtomicReference<>();
        for (int index = from; index < to && failure.get() == null; index++) {
            if (pause > 0) {
                Thread.sleep(pause);
            }
            byte[] key = Tally.key(index);
            byte[] value = Tally.value(index, size);
            producer.send(new ProducerRecord<>(topic, key, value), (metadata, error) -> {
                if (error == null) {
                    tally.add(metadata.partition(), key, value);
                } else {
                    failure.set(error);
                }
            });
        }
        producer.flush();
        if (failure.get() != null) {
            throw failure.get();
        }
        return tally;
    }

    private static KafkaProducer<byte[], byte[]> producer(Properties properties) {
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }
}
