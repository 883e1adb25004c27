import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Errors;

/** Results as text that is the same in every run: what a cluster chooses by itself is masked, sets are sorted. */
final class ScenarioText {
    static final Comparator<TopicPartition> BY_PARTITION = Comparator.comparing(TopicPartition::toString);

    private static final Pattern LONG = Pattern.compile("(\\w)\\1{100,}");

    /** Names that no client may see, in error messages above all. */
    private final List<String> forbidden;
    /** Messages of the errors that were shown; they are logged, not compared. */
    private final List<String> messages = new ArrayList<>();

    ScenarioText(List<String> forbidden) {
        this.forbidden = forbidden;
    }

    /** A name in the name of a step. */
    static String shortened(String name) {
        return name.length() > 20 ? name.charAt(0) + "*" + name.length() : "'" + name + "'";
    }

    /** {@code name=value, name=value} for a result that has parts. */
    record Fields(Object... pairs) {}

    static Fields fields(Object... pairs) {
        return new Fields(pairs);
    }

    String of(Object value) {
        if (value instanceof Throwable error) {
            return error(error);
        } else if (value instanceof KafkaFuture<?> future) {
            return future(future);
        } else if (value instanceof Optional<?> optional) {
            return optional.map(this::of).orElse("none");
        } else if (value instanceof Uuid id) {
            return id.equals(Uuid.ZERO_UUID) ? "no id" : "<id>";
        } else if (value instanceof Node node) {
            return node.isEmpty() ? "no node" : "node " + node.id();
        } else if (value instanceof Fields fields) {
            return fields(fields);
        } else if (value instanceof Map<?, ?> map) {
            Map<String, String> sorted = new TreeMap<>();
            map.forEach((key, element) -> sorted.put(of(key), of(element)));
            return sorted.toString();
        } else if (value instanceof List<?> list) {
            return list.stream().map(this::of).toList().toString();
        } else if (value instanceof Collection<?> collection) {
            return collection.stream().map(this::of).sorted().toList().toString();
        }
        return LONG.matcher(String.valueOf(value)).replaceAll("$1...");
    }

    /** The messages since the last call. */
    List<String> takeMessages() {
        List<String> taken = List.copyOf(messages);
        messages.clear();
        return taken;
    }

    private String fields(Fields fields) {
        List<String> parts = new ArrayList<>();
        for (int i = 0; i < fields.pairs().length; i += 2) {
            parts.add(fields.pairs()[i] + "=" + of(fields.pairs()[i + 1]));
        }
        return String.join(", ", parts);
    }

    private String future(KafkaFuture<?> future) {
        try {
            return of(future.get(20, TimeUnit.SECONDS));
        } catch (Exception error) {
            return error(error);
        }
    }

    private String error(Throwable error) {
        boolean wrapped = error instanceof ExecutionException || error instanceof CompletionException;
        if (wrapped && error.getCause() != null) {
            return error(error.getCause());
        }
        Errors code = Errors.forException(error);
        String text = error.getClass().getSimpleName();
        String message = String.valueOf(error.getMessage());
        messages.add(message);
        if (code != Errors.UNKNOWN_SERVER_ERROR) {
            text += " " + code.code();
        }
        if (forbidden.stream().anyMatch(message::contains)) {
            text += " WITH A PHYSICAL NAME: " + message;
        }
        boolean saysMore = code == Errors.UNKNOWN_SERVER_ERROR && error.getCause() != null;
        return saysMore ? text + " for " + error(error.getCause()) : text;
    }
}
