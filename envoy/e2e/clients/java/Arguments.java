import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/** {@code VERB name=value...} */
final class Arguments {
    final String verb;
    private final Map<String, String> values = new HashMap<>();

    Arguments(String[] words) {
        verb = words[0];
        for (int i = 1; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            values.put(pair[0], pair[1]);
        }
    }

    String text(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }

    String text(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    int number(String name) {
        return Integer.parseInt(text(name));
    }

    int number(String name, int otherwise) {
        return values.containsKey(name) ? number(name) : otherwise;
    }

    /** Configuration of a Kafka client: `bootstrap`, then every `config.*`. */
    Properties client() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", text("bootstrap"));
        properties.put("client.id", text("client_id", "java"));
        values.forEach((name, value) -> {
            if (name.startsWith("config.")) {
                properties.put(name.substring("config.".length()), value);
            }
        });
        return properties;
    }
}
