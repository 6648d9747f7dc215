"""What a year costs at prices that you give: cores, disk, network and messages."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.capacity.figures import Capacity
from services.capacity.network import Network

_HOURS_A_YEAR: Final = 8_760
_MONTHS: Final = 12
_MICROS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Prices:
    """Of one unit each, in any currency; 0 leaves it out.

    Attributes:
        core_hour: a core for an hour.
        gb_month: 10⁹ bytes of disk for a month.
        tb: 10¹² bytes over the network.
        message: one text message or mail.
    """

    core_hour: float = 0.0
    gb_month: float = 0.0
    tb: float = 0.0
    message: float = 0.0


class Item(NamedTuple):
    """A quantity of a year and what one costs."""

    what: str
    quantity: float
    price: float

    @property
    def cost(self) -> float:
        """Of the year, in the currency of the price."""
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class Cost:
    """The items of one demand."""

    capacity: Capacity
    prices: Prices

    @property
    def items(self) -> tuple[Item, ...]:
        """All of them."""
        prices = self.prices
        return (
            Item("core-hours", self.cores * _HOURS_A_YEAR, prices.core_hour),
            Item("GB-months", self.disk_bytes / 1e9 * _MONTHS, prices.gb_month),
            Item("TB transferred", self.network_bytes / 1e12, prices.tb),
            Item("messages", self.messages, prices.message),
        )

    @property
    def total(self) -> float:
        """Of the year."""
        return sum(item.cost for item in self.items)

    @property
    def cores(self) -> int:
        """Kept all year for the busiest hour: one for each process, PostgreSQL's and Kafka's by what they use."""
        c, m, d = self.capacity, self.capacity.measured, self.capacity.demand
        database = self._cores(m.postgres_us) * (1 + d.standbys)
        brokers = self._cores(m.kafka_us) * d.replicas
        return c.notifiers + c.surveys + c.aggregators + database + brokers

    @property
    def disk_bytes(self) -> float:
        """What stands on disks after a year, copies included and backups not."""
        c, d = self.capacity, self.capacity.demand
        database = c.database_bytes_a_year + c.outbox_bytes
        return database * (1 + d.standbys) + c.kafka_bytes_kept * d.replicas

    @property
    def network_bytes(self) -> float:
        """Over all hops in a year."""
        network = Network(self.capacity)
        return sum(network.a_year(hop) for hop in network.hops)

    @property
    def messages(self) -> float:
        """Requests and reminders of a year."""
        return self.capacity.demand.deliveries_a_year * self.capacity.messages_a_delivery

    def _cores(self, micros: float) -> int:
        """Of one server that takes so much of the processor for a delivery, at the planned share of its most."""
        used = self.capacity.deliveries_a_second * micros * _MICROS
        return max(1, math.ceil(used / self.capacity.demand.used))
