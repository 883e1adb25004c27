import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32;

/** What was sent or received, in a form that every client computes alike and that no order changes. */
final class Tally {
    private long count;
    private long checksum;
    private final Map<Integer, Long> partitions = new TreeMap<>();

    static byte[] key(int index) {
        return ("key-" + index).getBytes();
    }

    /** Ten digits, then `x` up to `size`. */
    static byte[] value(int index, int size) {
        byte[] value = new byte[Math.max(size, 10)];
        Arrays.fill(value, (byte) 'x');
        byte[] digits = String.format("%010d", index).getBytes();
        System.arraycopy(digits, 0, value, 0, digits.length);
        return value;
    }

    synchronized void add(int partition, byte[] key, byte[] value) {
        count++;
        checksum += (crc(key) << 32) | crc(value);
        partitions.merge(partition, 1L, Long::sum);
    }

    synchronized long count() {
        return count;
    }

    synchronized Map<String, Object> report() {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("count", count);
        report.put("checksum", Long.toUnsignedString(checksum));
        report.put("partitions", partitions);
        return report;
    }

    private static long crc(byte[] bytes) {
        CRC32 crc = new CRC32();
        crc.update(bytes);
        return crc.getValue();
    }
}
