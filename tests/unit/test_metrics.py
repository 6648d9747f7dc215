import pytest
from prometheus_client import generate_latest

from services.chassis.metrics import COUNTERS, GAUGES, HISTOGRAMS, Metrics

FEW_VALUES = {
    *("act", "age", "channel", "group", "kind", "outcome", "partition", "provider"),
    *("reason", "result", "sign", "state", "table", "topic", "what"),
}
"""Labels whose values are our own few words, or names in the settings. None names a person, a place or a shop."""


def test_counting_setting_and_observing_show_in_the_exposition() -> None:
    metrics = Metrics()
    metrics.count("kvittera_records_total", 2, topic="a", result="applied")
    metrics.count("kvittera_records_total", topic="a", result="applied")
    metrics.count("kvittera_cells_republished_total")
    metrics.set("kvittera_outbox_waiting", 7)
    metrics.set("kvittera_consumer_lag", 5, topic="a", partition="0")
    metrics.observe("kvittera_batch_records", 4, group="g")
    text = generate_latest(metrics.registry).decode()
    assert 'kvittera_records_total{result="applied",topic="a"} 3.0' in text
    assert "kvittera_cells_republished_total 1.0" in text
    assert "kvittera_outbox_waiting 7.0" in text
    assert 'kvittera_consumer_lag{partition="0",topic="a"} 5.0' in text
    assert 'kvittera_batch_records_bucket{group="g",le="10.0"} 1.0' in text
    assert 'kvittera_batch_records_bucket{group="g",le="3.0"} 0.0' in text


def test_two_processes_metrics_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.set("kvittera_in_doubt", 3)
    assert other.registry.get_sample_value("kvittera_in_doubt") == 0


def test_a_label_that_is_not_named_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="ncorrect label names"):
        Metrics().count("kvittera_records_total", topic="a", result="applied", person="maja")


def test_every_metric_is_explained_and_no_label_can_hold_a_person_or_a_small_group() -> None:
    told: list[tuple[str, str, tuple[str, ...]]] = [(n, *more) for n, more in [*COUNTERS.items(), *GAUGES.items()]]
    told += [(n, text, labels) for n, (text, labels, _) in HISTOGRAMS.items()]
    assert len({name for name, _, _ in told}) == len(told)
    for name, text, labels in told:
        assert name.startswith("kvittera_")
        assert text.endswith(".")
        assert set(labels) <= FEW_VALUES, name
