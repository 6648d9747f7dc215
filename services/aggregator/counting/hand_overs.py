"""Whether the last driver answers for a delivery, from who held the parcel on which leg (E5). Pure.

Looks at the delivery only, never at the answer: else a driver's figures would be of chosen answers.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from schemas.delivery import Holder

OF_OTHERS: Final = frozenset({"damaged", "opened", "partial", "customs_hold", "claim_open", "returned"})
"""Exceptions that may have happened at any leg before the last."""
OF_A_LEG: Final = frozenset({"damaged", "opened", "partial"})
"""Of those, what happens to the parcel itself: a chain tells on which leg."""
_DRIVER: Final = Holder.DRIVER.value


class Leg(msgspec.Struct, frozen=True):
    """Who took the parcel over, and what was wrong with it then."""

    holder: str
    code: str | None = None
    noticed: tuple[str, ...] = ()


def answers_for(driver: str, attempt: int, exceptions: Sequence[str], legs: Sequence[Leg]) -> bool:
    """Whether what people may be unhappy about can only have happened while this driver held the parcel.

    Without legs only a delivery without trouble at its first attempt is the driver's. With them also one that was
    whole when the driver took it over, and one at a later attempt where this driver made all of them.
    """
    trouble = OF_OTHERS.intersection(exceptions)
    if not legs:
        return attempt == 1 and not trouble
    drivers = [leg.code for leg in legs if leg.holder == _DRIVER]
    held_last = legs[-1].holder == _DRIVER and legs[-1].code == driver
    made_all = attempt == 1 or (len(drivers) >= attempt and set(drivers) == {driver})
    taken_whole = not any(OF_OTHERS.intersection(leg.noticed) for leg in legs)
    return held_last and made_all and taken_whole and trouble <= OF_A_LEG
