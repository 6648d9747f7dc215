package bench;

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.StoreBuilder;

/**
 * The aggregator's counting job on Kafka Streams: the last revision of each response, and five score bins,
 * commented and contested per cell, published in binary. A reader adds the input partitions, whose number stands
 * first in the key.
 *
 * <p>Arguments: bootstrap, input, output, application id, threads, commit interval and publish interval in
 * milliseconds, folder of the state, and the kind of state (`cached` or `write-behind`).
 */
public final class CountingJob {
  private static final long CACHE_BYTES = 1_500L * 1024 * 1024;

  private CountingJob() {}

  public static void main(String[] args) {
    long publishMs = Long.parseLong(args[6]);
    String kind = args[8];
    Topology t = new Topology();
    t.addSource("in", new ByteArrayDeserializer(), new ByteArrayDeserializer(), args[1]);
    t.addProcessor("count", () -> new Counting(kind, publishMs), "in");
    for (StoreBuilder<?> store : State.stores(kind)) {
      t.addStateStore(store, "count");
    }
    t.addSink("out", args[2], new ByteArraySerializer(), new ByteArraySerializer(), "count");
    KafkaStreams streams = new KafkaStreams(t, settings(args));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(3);
          return null;
        });
    streams.start();
  }

  private static Properties settings(String[] args) {
    Properties p = new Properties();
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, args[3]);
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[4]);
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args[5]);
    p.put(StreamsConfig.STATE_DIR_CONFIG, args[7]);
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, String.valueOf(CACHE_BYTES));
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    p.put(StreamsConfig.consumerPrefix("session.timeout.ms"), "10000");
    p.put(StreamsConfig.consumerPrefix("max.poll.records"), "10000");
    p.put(StreamsConfig.producerPrefix("batch.size"), "262144");
    p.put(StreamsConfig.producerPrefix("linger.ms"), "20");
    p.put(StreamsConfig.producerPrefix("buffer.memory"), "134217728");
    return p;
  }
}
