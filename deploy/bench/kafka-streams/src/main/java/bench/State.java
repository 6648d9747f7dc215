package bench;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** What a task keeps: the last revision of each response, and the counters of each cell. */
interface State {
  int COUNTERS = 7;

  /** The last revision as bytes, or null. */
  byte[] last(Bytes response);

  void putLast(Bytes response, byte[] value);

  void add(Bytes cell, int[] delta);

  byte[] counters(Bytes cell);

  /** All cells, for a task that begins again: what it had not published is not known. */
  void eachCell(Consumer<Bytes> seen);

  /** The stores that a kind of state needs. */
  static List<StoreBuilder<?>> stores(String kind) {
    return switch (kind) {
      case "cached" -> List.of(cached("last"), cached("cells"));
      case "write-behind" ->
          List.of(
              new WriteBehindStore.Builder<byte[]>("last", Function.identity(), Function.identity()),
              new WriteBehindStore.Builder<int[]>("cells", State::written, State::read));
      default -> throw new IllegalArgumentException("no such state: " + kind);
    };
  }

  static State of(String kind, ProcessorContext<byte[], byte[]> context) {
    return kind.equals("cached")
        ? new Cached(context.getStateStore("last"), context.getStateStore("cells"))
        : new WrittenBehind(context.getStateStore("last"), context.getStateStore("cells"));
  }

  private static StoreBuilder<?> cached(String name) {
    return Stores.keyValueStoreBuilder(
            Stores.inMemoryKeyValueStore(name), Serdes.Bytes(), Serdes.ByteArray())
        .withCachingEnabled()
        .withLoggingEnabled(Map.of());
  }

  static byte[] written(int[] counters) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * COUNTERS);
    for (int n : counters) {
      bytes.putInt(n);
    }
    return bytes.array();
  }

  static int[] read(byte[] bytes) {
    int[] counters = new int[COUNTERS];
    ByteBuffer.wrap(bytes).asIntBuffer().get(counters);
    return counters;
  }

  /** The stores that Kafka Streams ships: in memory, behind its cache. */
  record Cached(KeyValueStore<Bytes, byte[]> answers, KeyValueStore<Bytes, byte[]> cells)
      implements State {
    @Override
    public byte[] last(Bytes response) {
      return answers.get(response);
    }

    @Override
    public void putLast(Bytes response, byte[] value) {
      answers.put(response, value);
    }

    @Override
    public void add(Bytes cell, int[] delta) {
      byte[] old = cells.get(cell);
      int[] sum = old == null ? new int[COUNTERS] : State.read(old);
      for (int i = 0; i < COUNTERS; i++) {
        sum[i] += delta[i];
      }
      cells.put(cell, State.written(sum));
    }

    @Override
    public byte[] counters(Bytes cell) {
      return cells.get(cell);
    }

    @Override
    public void eachCell(Consumer<Bytes> seen) {
      try (KeyValueIterator<Bytes, byte[]> all = cells.all()) {
        all.forEachRemaining(entry -> seen.accept(entry.key));
      }
    }
  }

  /** Counters as they are in memory; bytes only at a commit. */
  record WrittenBehind(WriteBehindStore<byte[]> answers, WriteBehindStore<int[]> cells)
      implements State {
    @Override
    public byte[] last(Bytes response) {
      return answers.get(response);
    }

    @Override
    public void putLast(Bytes response, byte[] value) {
      answers.put(response, value);
    }

    @Override
    public void add(Bytes cell, int[] delta) {
      int[] sum = cells.get(cell);
      if (sum == null) {
        cells.put(cell, delta.clone());
        return;
      }
      for (int i = 0; i < COUNTERS; i++) {
        sum[i] += delta[i];
      }
      cells.touch(cell);
    }

    @Override
    public byte[] counters(Bytes cell) {
      return State.written(cells.get(cell));
    }

    @Override
    public void eachCell(Consumer<Bytes> seen) {
      cells.forEach((key, counters) -> seen.accept(key));
    }
  }
}
