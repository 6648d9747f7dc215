package bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The aggregator's counting job on Kafka Streams: the last revision of each response, and five score bins,
 * commented and contested per cell. Changed cells go out at most once per publish interval, in binary; a reader
 * adds the four input partitions, whose number stands first in the key.
 */
public final class CountingJob {
  private static final int COUNTERS = 7;
  private static final String[] CUTS = {
    "country", "terminal", "route", "driver", "service_point", "merchant_id", "method"
  };

  private CountingJob() {}

  public static void main(String[] args) {
    String bootstrap = args[0];
    String input = args[1];
    String output = args[2];
    String threads = args[3];
    String commitMs = args[4];
    long publishMs = Long.parseLong(args[5]);
    String stateDir = args[6];
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, "bench-kafka-streams-" + threads);
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, threads);
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitMs);
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, String.valueOf(1_500L * 1024 * 1024));
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    p.put(StreamsConfig.STATE_DIR_CONFIG, stateDir);
    p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    p.put(StreamsConfig.consumerPrefix("max.poll.records"), "10000");
    p.put(StreamsConfig.producerPrefix("batch.size"), "262144");
    p.put(StreamsConfig.producerPrefix("linger.ms"), "20");
    p.put(StreamsConfig.producerPrefix("buffer.memory"), "134217728");
    Topology t = new Topology();
    t.addSource("in", new ByteArrayDeserializer(), new ByteArrayDeserializer(), input);
    t.addProcessor("count", () -> new Counting(publishMs), "in");
    t.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore("last"), Serdes.Bytes(), Serdes.ByteArray())
            .withCachingEnabled()
            .withLoggingEnabled(Map.of()),
        "count");
    t.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore("cells"), Serdes.Bytes(), Serdes.ByteArray())
            .withCachingEnabled()
            .withLoggingEnabled(Map.of()),
        "count");
    t.addSink("out", output, new ByteArraySerializer(), new ByteArraySerializer(), "count");
    KafkaStreams streams = new KafkaStreams(t, p);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(3);
          return null;
        });
    streams.start();
  }

  private static final class Event {
    byte[] response;
    int revision;
    int score;
    boolean commented;
    boolean contested;
    long localHour;
    final List<byte[]> units = new ArrayList<>(8);
  }

  private static final class Counting implements Processor<byte[], byte[], byte[], byte[]> {
    private final long publishMs;
    private final JsonFactory json = new JsonFactory();
    private final Map<Long, Integer> offsets = new HashMap<>();
    private final Set<Bytes> dirty = new HashSet<>();
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<Bytes, byte[]> last;
    private KeyValueStore<Bytes, byte[]> cells;

    Counting(long publishMs) {
      this.publishMs = publishMs;
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      last = context.getStateStore("last");
      cells = context.getStateStore("cells");
      context.schedule(
          Duration.ofMillis(publishMs), PunctuationType.WALL_CLOCK_TIME, this::publish);
    }

    private void publish(long now) {
      byte partition = (byte) context.taskId().partition();
      for (Bytes key : dirty) {
        byte[] out = new byte[key.get().length + 1];
        out[0] = partition;
        System.arraycopy(key.get(), 0, out, 1, key.get().length);
        context.forward(new Record<>(out, cells.get(key), now));
      }
      dirty.clear();
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      Event e;
      try {
        e = read(record.value());
      } catch (IOException error) {
        throw new IllegalStateException(error);
      }
      Bytes id = Bytes.wrap(e.response);
      byte[] old = last.get(id);
      if (old != null && ByteBuffer.wrap(old).getInt() >= e.revision) {
        return;
      }
      last.put(
          id,
          ByteBuffer.allocate(6).putInt(e.revision).put((byte) e.score).put(flags(e)).array());
      int[] delta = new int[COUNTERS];
      add(delta, e.score, flags(e), 1);
      if (old != null) {
        add(delta, old[4], old[5], -1);
      }
      long day = e.localHour / 24;
      LocalDate date = LocalDate.ofEpochDay(day);
      long month = (date.getYear() - 1970) * 12L + date.getMonthValue() - 1;
      for (byte[] unit : e.units) {
        apply(unit, 0, e.localHour, delta);
        apply(unit, 1, day, delta);
        apply(unit, 2, month, delta);
        apply(unit, 3, 0, delta);
      }
    }

    private static byte flags(Event e) {
      return (byte) ((e.commented ? 1 : 0) | (e.contested ? 2 : 0));
    }

    private static void add(int[] delta, int score, byte flags, int sign) {
      if (score > 0 && (flags & 2) == 0) {
        delta[score - 1] += sign;
      }
      delta[5] += sign * (flags & 1);
      delta[6] += sign * (flags >> 1 & 1);
    }

    private void apply(byte[] unit, int window, long index, int[] delta) {
      byte[] raw = new byte[unit.length + 5];
      ByteBuffer.wrap(raw).put(unit).put((byte) window).putInt((int) index);
      Bytes key = Bytes.wrap(raw);
      byte[] old = cells.get(key);
      ByteBuffer sum = ByteBuffer.allocate(4 * COUNTERS);
      for (int i = 0; i < COUNTERS; i++) {
        int before =
            old == null
                ? 0
                : (old[4 * i] & 255) << 24
                    | (old[4 * i + 1] & 255) << 16
                    | (old[4 * i + 2] & 255) << 8
                    | old[4 * i + 3] & 255;
        sum.putInt(before + delta[i]);
      }
      cells.put(key, sum.array());
      dirty.add(key);
    }

    private Event read(byte[] value) throws IOException {
      Event e = new Event();
      String zone = null;
      String at = null;
      e.units.add("total|".getBytes(StandardCharsets.UTF_8));
      try (JsonParser p = json.createParser(value)) {
        while (p.nextToken() != null) {
          if (p.currentToken() != JsonToken.FIELD_NAME) {
            continue;
          }
          String name = p.currentName();
          JsonToken token = p.nextToken();
          switch (name) {
            case "response_id" -> e.response = bytes(UUID.fromString(p.getText()));
            case "revision" -> e.revision = p.getIntValue();
            case "score" -> e.score = p.getIntValue();
            case "commented" -> e.commented = token == JsonToken.VALUE_TRUE;
            case "contested" -> e.contested = token == JsonToken.VALUE_TRUE;
            case "occurred_at" -> at = p.getText();
            case "zone" -> zone = p.getText();
            default -> {
              for (String cut : CUTS) {
                if (cut.equals(name)) {
                  e.units.add((name + "|" + p.getText()).getBytes(StandardCharsets.UTF_8));
                  break;
                }
              }
            }
          }
        }
      }
      long seconds = OffsetDateTime.parse(at).toEpochSecond();
      String where = zone;
      // One zone in this data: its rules are asked once per quarter of an hour, as the aggregator does.
      int offset =
          offsets.computeIfAbsent(
              seconds / 900,
              q ->
                  ZoneId.of(where)
                      .getRules()
                      .getOffset(Instant.ofEpochSecond(seconds))
                      .getTotalSeconds());
      e.localHour = (seconds + offset) / 3600;
      return e;
    }

    private static byte[] bytes(UUID id) {
      return ByteBuffer.allocate(16)
          .putLong(id.getMostSignificantBits())
          .putLong(id.getLeastSignificantBits())
          .array();
    }
  }
}
