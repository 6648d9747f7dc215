"""The figures for people and for machines."""

from collections.abc import Callable
from typing import Any, Final

from services.capacity.cost import Cost
from services.capacity.figures import Capacity
from services.capacity.network import Network


def rows(capacity: Capacity) -> list[tuple[str, str]]:
    """What each figure is, and its value."""
    return [(what, text(value(capacity))) for what, value, text in _ROWS]


def hop_rows(capacity: Capacity) -> list[tuple[str, str, str]]:
    """What each hop is, what it carries a second in the busiest hour, and in a year."""
    network = Network(capacity)
    return [(hop.what, size(network.a_second(hop)), size(network.a_year(hop))) for hop in network.hops]


def cost_rows(cost: Cost) -> list[tuple[str, str, str, str]]:
    """Each quantity of a year, the price of one, and the product; without a price only the quantity."""
    return [
        (i.what, count(i.quantity), f"{i.price:g}" if i.price else "", count(i.cost) if i.price else "")
        for i in cost.items
    ]


def as_dict(cost: Cost) -> dict[str, Any]:
    """For machines: plain numbers, bytes and seconds."""
    capacity = cost.capacity
    network = Network(capacity)
    return {
        "figures": {what: value(capacity) for what, value, _ in _ROWS},
        "network": {
            hop.what: {"bytes_a_second": network.a_second(hop), "bytes_a_year": network.a_year(hop)}
            for hop in network.hops
        },
        "cost": {
            "items": {i.what: {"quantity": i.quantity, "price": i.price, "cost": i.cost} for i in cost.items},
            "total": cost.total,
        },
    }


def count(value: float) -> str:
    """With its thousands apart."""
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Bytes in the largest unit of thousands that leaves at least one."""
    for name, unit in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= unit:
            return f"{value / unit:,.1f} {name}"
    return f"{value / 1e3:,.1f} kB"


def _written_a_second(capacity: Capacity) -> float:
    network = Network(capacity)
    return network.a_second(network.hops[0])


_ROWS: Final[tuple[tuple[str, Callable[[Capacity], float], Callable[[float], str]], ...]] = (
    ("deliveries a second, busiest hour", lambda c: c.deliveries_a_second, count),
    ("messages sent a second, reminders included", lambda c: c.messages_a_second, count),
    ("decisions told a second", lambda c: c.deliveries_a_second * c.decisions_a_delivery, count),
    ("answers a second", lambda c: c.answers_a_second, count),
    ("events counted a second", lambda c: c.events_a_second, count),
    ("notifier processes", lambda c: c.notifiers, count),
    ("survey processes", lambda c: c.surveys, count),
    ("aggregator processes", lambda c: c.aggregators, count),
    ("partitions of a topic", lambda c: c.partitions, count),
    ("PostgreSQL, a year, without cells and outboxes", lambda c: c.database_bytes_a_year, size),
    ("PostgreSQL's write-ahead log, a second", lambda c: c.log_bytes_a_second, size),
    ("outboxes, three busiest days", lambda c: c.outbox_bytes, size),
    ("outbox rows, three busiest days", lambda c: c.outbox_rows, count),
    ("cells that a year adds", lambda c: c.cells_a_year, count),
    ("memory to compare cells, after a year", lambda c: c.mirror_bytes_after_a_year, size),
    ("Kafka, written a second", _written_a_second, size),
    ("Kafka, kept, one replica", lambda c: c.kafka_bytes_kept, size),
)
