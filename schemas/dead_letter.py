"""Dead letters: the headers that say why a record could not be processed and where it came from.

A dead-letter record keeps the value, the key and all headers of the record as they were, byte for byte, and
has these headers besides. All values are UTF-8 text. None of them repeats anything from the record's value.
Only what is larger than its topic takes is left out: the value, and then key and headers too.
"""

from typing import Final

PREFIX: Final = "kvittera_dlq_"
"""Every header below begins so; a replay removes them all."""

REASON: Final = PREFIX + "reason"
"""One word, for example `bad_json` or `schema` (`ContractError.reason`), or the handler's own."""

DETAIL: Final = PREFIX + "detail"
"""Where it broke: places and kinds of error, no values; at most 500 characters."""

TOPIC: Final = PREFIX + "topic"
"""The topic that the record was read from."""

PARTITION: Final = PREFIX + "partition"
"""Its partition, in decimal."""

OFFSET: Final = PREFIX + "offset"
"""Its offset, in decimal. Topic, partition and offset together tell repeated dead letters apart."""

AT: Final = PREFIX + "at"
"""When it was given up, RFC 3339 in UTC."""

SERVICE: Final = PREFIX + "service"
"""The service that gave it up: `notifier`, `survey` or `aggregator`."""

LEFT_OUT: Final = PREFIX + "left_out"
"""How many bytes were left out, in decimal; only where the record was too large to be kept whole."""

HEADERS: Final = (REASON, DETAIL, TOPIC, PARTITION, OFFSET, AT, SERVICE)
"""Those that every dead letter has, in the order in which they are written."""
