package bench;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.query.Position;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * A hash map whose changed entries are written to the changelog at each commit, in its transaction.
 *
 * <p>Kafka Streams flushes a store before a commit only where it is a {@link CachedStateStore}, and lets it write to
 * the changelog only through {@link InternalProcessorContext}. Both are internal and may change with any version.
 */
final class WriteBehindStore<V> implements StateStore, CachedStateStore<Bytes, V> {
  private final String name;
  private final Function<V, byte[]> write;
  private final Function<byte[], V> read;
  private final Map<Bytes, V> entries = new HashMap<>();
  private final Set<Bytes> changed = new HashSet<>();
  private InternalProcessorContext<?, ?> context;
  private boolean open;

  WriteBehindStore(String name, Function<V, byte[]> write, Function<byte[], V> read) {
    this.name = name;
    this.write = write;
    this.read = read;
  }

  /** The entry itself, not a copy: who changes it calls {@link #touch}. */
  V get(Bytes key) {
    return entries.get(key);
  }

  void put(Bytes key, V value) {
    entries.put(key, value);
    changed.add(key);
  }

  void touch(Bytes key) {
    changed.add(key);
  }

  void forEach(BiConsumer<Bytes, V> seen) {
    entries.forEach(seen);
  }

  @Override
  public void flushCache() {
    long now = context.currentSystemTimeMs();
    for (Bytes key : changed) {
      byte[] value = write.apply(entries.get(key));
      context.logChange(name, key, value, now, new RecordHeaders(), Position.emptyPosition());
    }
    changed.clear();
  }

  @Override
  public void clearCache() {
    // Only when a task is taken back to its last commit: the store is then restored from the changelog.
    entries.clear();
    changed.clear();
  }

  @Override
  public boolean setFlushListener(CacheFlushListener<Bytes, V> listener, boolean sendOldValues) {
    return false;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public void init(StateStoreContext given, StateStore root) {
    context = (InternalProcessorContext<?, ?>) given;
    given.register(
        root,
        (key, value) -> {
          if (value == null) {
            entries.remove(Bytes.wrap(key));
          } else {
            entries.put(Bytes.wrap(key), read.apply(value));
          }
        });
    open = true;
  }

  @Override
  public void close() {
    open = false;
    entries.clear();
    changed.clear();
  }

  @Override
  public boolean persistent() {
    return false;
  }

  @Override
  public boolean isOpen() {
    return open;
  }

  /** Makes the store of each task; its changelog is on. */
  record Builder<V>(String name, Function<V, byte[]> write, Function<byte[], V> read)
      implements StoreBuilder<WriteBehindStore<V>> {
    @Override
    public WriteBehindStore<V> build() {
      return new WriteBehindStore<>(name, write, read);
    }

    @Override
    public Map<String, String> logConfig() {
      return Map.of();
    }

    @Override
    public boolean loggingEnabled() {
      return true;
    }

    @Override
    public StoreBuilder<WriteBehindStore<V>> withCachingEnabled() {
      return this;
    }

    @Override
    public StoreBuilder<WriteBehindStore<V>> withCachingDisabled() {
      return this;
    }

    @Override
    public StoreBuilder<WriteBehindStore<V>> withLoggingEnabled(Map<String, String> config) {
      return this;
    }

    @Override
    public StoreBuilder<WriteBehindStore<V>> withLoggingDisabled() {
      throw new UnsupportedOperationException("a write-behind store lives from its changelog");
    }
  }
}
