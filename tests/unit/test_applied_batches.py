"""What the metrics say about a committed batch."""

from aiokafka import TopicPartition

from services.chassis.applied_batches import count_batch, start_counting
from services.chassis.metrics import Metrics
from tests.harness import record


def counted(metrics: Metrics, topic: str, result: str) -> float | None:
    return metrics.registry.get_sample_value("kvittera_records_total", {"topic": topic, "result": result})


def test_records_of_several_topics_in_one_batch_count_for_the_topic_that_each_came_from() -> None:
    metrics = Metrics()
    applied = {
        TopicPartition("answers", 0): [record("answers", n, b"a") for n in range(4)],
        TopicPartition("answers", 1): [record("answers", n, b"a") for n in range(2)],
        TopicPartition("decisions", 0): [record("decisions", n, b"d") for n in range(3)],
    }
    count_batch(metrics, "g", applied, {"answers": 1}, {"decisions": 2}, 0.5)
    found = {
        (topic, result): counted(metrics, topic, result)
        for topic in ("answers", "decisions")
        for result in ("applied", "dead_letter", "skipped")
    }
    assert found == {
        ("answers", "applied"): 5,
        ("answers", "dead_letter"): 1,
        ("answers", "skipped"): 0,
        ("decisions", "applied"): 1,
        ("decisions", "dead_letter"): 0,
        ("decisions", "skipped"): 2,
    }
    assert metrics.registry.get_sample_value("kvittera_batch_records_sum", {"group": "g"}) == 9


def test_the_first_dead_letter_of_a_process_is_a_rise_that_an_alert_sees() -> None:
    metrics = Metrics()
    start_counting(metrics, ["answers"])
    assert counted(metrics, "answers", "dead_letter") == 0
