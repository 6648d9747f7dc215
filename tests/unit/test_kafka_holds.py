"""How many records wait to be counted, of what Kafka holds and how far counting is."""

from aiokafka import TopicPartition

from services.aggregator.history.kafka_holds import Extent, waiting

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)


def test_what_lies_between_the_position_and_the_end_waits_by_topic() -> None:
    extents = {A0: Extent(0, 10), A1: Extent(4, 6), B0: Extent(0, 3)}
    assert waiting(extents, {A0: 7, A1: 6, B0: 1}) == {"a": 3, "b": 2}
    assert waiting(extents, {A0: 10, A1: 6, B0: 3}) == {}


def test_a_partition_that_nobody_has_counted_waits_from_its_first_record_on() -> None:
    assert waiting({A1: Extent(4, 6)}, {}) == {"a": 2}
    assert waiting({A1: Extent(4, 4)}, {}) == {}


def test_what_was_counted_since_the_brokers_were_asked_does_not_count_against_others() -> None:
    assert waiting({A0: Extent(0, 10), A1: Extent(0, 2)}, {A0: 15, A1: 0}) == {"a": 2}
