import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;

/** What every step of the scenario gave: its result, or the class and code of its error. */
final class ScenarioSteps {
    private final ScenarioText text;
    private final Set<String> names = new HashSet<>();
    private final List<List<String>> results = new ArrayList<>();
    private final long start = System.nanoTime();

    ScenarioSteps(Arguments arguments) {
        String forbidden = arguments.text("forbidden", "");
        text = new ScenarioText(forbidden.isEmpty() ? List.of() : Arrays.asList(forbidden.split(",")));
    }

    /** Takes a step. No two have the same name, so that a table can name them. */
    void step(String name, Callable<?> action) {
        if (!names.add(name)) {
            throw new IllegalStateException("two steps are called " + name);
        }
        String result;
        try {
            result = text.of(action.call());
        } catch (Exception error) {
            result = text.of(error);
        }
        results.add(List.of(name, result));
        long elapsedMs = (System.nanoTime() - start) / 1_000_000;
        System.err.printf("%6d %s | %s%n", elapsedMs, name, result);
        text.takeMessages().forEach(message -> System.err.println("       message: " + message));
    }

    List<List<String>> results() {
        return results;
    }
}
