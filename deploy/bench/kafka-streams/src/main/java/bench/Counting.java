package bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.LocalDate;
import java.util.HashSet;
import java.util.Set;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * Counts the answers of one input partition. Changed cells go out at most once per publish interval; a task that
 * begins again publishes all it has, since it does not know what it had published.
 */
final class Counting implements Processor<byte[], byte[], byte[], byte[]> {
  private final String kind;
  private final long publishMs;
  private final Answers answers = new Answers();
  private final Set<Bytes> dirty = new HashSet<>();
  private ProcessorContext<byte[], byte[]> context;
  private State state;

  Counting(String kind, long publishMs) {
    this.kind = kind;
    this.publishMs = publishMs;
  }

  @Override
  public void init(ProcessorContext<byte[], byte[]> context) {
    this.context = context;
    state = State.of(kind, context);
    state.eachCell(dirty::add);
    context.schedule(Duration.ofMillis(publishMs), PunctuationType.WALL_CLOCK_TIME, this::publish);
  }

  private void publish(long now) {
    byte partition = (byte) context.taskId().partition();
    for (Bytes key : dirty) {
      byte[] out = new byte[key.get().length + 1];
      out[0] = partition;
      System.arraycopy(key.get(), 0, out, 1, key.get().length);
      context.forward(new Record<>(out, state.counters(key), now));
    }
    dirty.clear();
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    Answers.Answer e;
    try {
      e = answers.read(record.value());
    } catch (IOException error) {
      throw new IllegalStateException(error);
    }
    Bytes id = Bytes.wrap(e.response);
    byte[] old = state.last(id);
    if (old != null && ByteBuffer.wrap(old).getInt() >= e.revision) {
      return;
    }
    state.putLast(
        id, ByteBuffer.allocate(6).putInt(e.revision).put((byte) e.score).put(flags(e)).array());
    int[] delta = new int[State.COUNTERS];
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
    }
  }

  private static byte flags(Answers.Answer e) {
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
    state.add(key, delta);
    dirty.add(key);
  }
}
