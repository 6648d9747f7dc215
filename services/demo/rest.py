"""What a run of the demo still has before it: deliveries to read, requests to send, messages to act on."""

from dataclasses import dataclass

from schemas.topics import DELIVERY_COMPLETED
from services.chassis.postgres import tables_of
from services.chassis.settings import Settings
from services.status import Status, look

_HELD = "SELECT count(*) FROM open_send WHERE state = 'planned' AND at > now() + interval '5 minutes'"
_MESSAGES = "SELECT count(*) FROM viewer_message WHERE id > $1"


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left to do.

    Attributes:
        unread: delivery records that the notifier has not read, of whichever run.
        pending: deliveries that are decided and whose request is not sent.
        held: requests that wait for a time that is not near, such as the end of the night.
        messages: what this run's recipients have got.
    """

    unread: int
    pending: int
    held: int
    messages: int

    def is_over(self, handled: int) -> bool:
        """Whether nothing is left, where so many messages were acted on."""
        return self.unread == 0 and self.pending in {0, self.held} and handled >= self.messages


async def look_at_rest(settings: Settings, after: int) -> Rest | None:
    """What is left, counting messages with an id above `after`; None while it cannot be told.

    Each figure is read after the one that it follows from: all is decided, then all is sent, then all has arrived.
    """
    status = await look(settings)
    unread, notifier = unread_deliveries(status), status.stores.get("notifier")
    if unread is None or notifier is None:
        return None
    async with tables_of(settings, "notifier") as connection:
        held = await connection.fetchval(_HELD)
        messages = await connection.fetchval(_MESSAGES, after)
    return Rest(unread, notifier.told["deliveries"]["pending"], held, messages)


def unread_deliveries(status: Status) -> int | None:
    """Delivery records behind the notifier's position; None where Kafka or the notifier's tables cannot be seen."""
    notifier = status.stores.get("notifier")
    if notifier is None or status.broker is None:
        return None
    begins, positions = status.broker.begins, notifier.positions
    ends = {part: end for part, end in status.broker.ends.items() if part.topic == DELIVERY_COMPLETED}
    return sum(max(0, end - positions.get(part, begins[part])) for part, end in ends.items()) if ends else None
