"""What a carrier expects of a year."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """A year, its busiest hour, and what it is kept on.

    Attributes:
        deliveries_a_year: all of them, asked about or not.
        peak_day: the busiest day of the year, as a multiple of the mean day.
        peak_hour: share of a day's deliveries in its busiest hour.
        asked, answered: share of deliveries asked about, and of those asked who answer.
        reminded: share of those asked who get the one reminder, because they have not answered.
        revisions: records told of one answer, the first tap included.
        steps: records of one request that tell that it arrived, or that its page was opened and left.
        units: values of all cuts together, such as terminals, routes and merchants.
        hours_a_day: hours of a day in which a unit has deliveries.
        used: share of the most that is planned for, so that a burst or a lost process can be caught up.
        replicas: copies of each record in Kafka.
        standbys: copies of PostgreSQL that follow its write-ahead log.
    """

    deliveries_a_year: float
    peak_day: float = 2.5
    peak_hour: float = 0.12
    asked: float = 0.8
    answered: float = 0.15
    reminded: float = 0.85
    revisions: float = 1.5
    steps: float = 1.0
    units: float = 10_000
    hours_a_day: float = 10
    used: float = 0.5
    replicas: int = 3
    standbys: int = 1
