import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Map;

/**
 * The Java client of the end-to-end tests: {@code java Client VERB name=value...}. Prints one JSON object;
 * a failure is a stack trace and exit status 1. `config.NAME=VALUE` goes to the Kafka client as it is.
 */
public final class Client {
    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words);
        print(run(arguments));
        System.exit(0);
    }

    private static Map<String, ?> run(Arguments arguments) throws Exception {
        return switch (arguments.verb) {
            case "create-topic" -> Administer.createTopic(arguments);
            case "describe" -> Administer.describe(arguments);
            case "move-leader" -> Administer.moveLeader(arguments);
            case "produce" -> Produce.plain(arguments);
            case "transact" -> Produce.transactions(arguments);
            case "consume" -> Consume.group(arguments);
            case "member" -> Consume.member(arguments);
            case "share-consume" -> Consume.shareGroup(arguments);
            case "options" -> Options.run(arguments);
            case "scenario" -> Scenario.run(arguments);
            case "finalize" -> Scenario.finalizeFeature(arguments);
            default -> throw new IllegalArgumentException("unknown verb " + arguments.verb);
        };
    }

    static synchronized void print(Map<String, ?> object) throws Exception {
        System.out.println(new ObjectMapper().writeValueAsString(object));
        System.out.flush();
    }
}
