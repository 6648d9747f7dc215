"""What all parts of one survey process share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff import Gate
from services.survey.definitions import Definitions


@dataclass(frozen=True, slots=True)
class Shared:
    """Handed to each part where the service is put together.

    Attributes:
        definitions: every survey that can be asked.
        gate: knows who of staff is signed in.
        now: the moment, in UTC.
        wake_relay: called after rows were committed that Kafka shall have soon.
    """

    settings: Settings
    pool: Pool
    seal: Seal
    definitions: Definitions
    gate: Gate
    metrics: Metrics
    now: Callable[[], datetime]
    wake_relay: Callable[[], None]
