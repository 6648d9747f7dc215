"""Simulated people: what each recipient will do when asked. Nobody here exists."""

import random
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from schemas.delivery import (
    ChannelKind,
    ContactChannel,
    DeliveryCompleted,
    DeliveryException,
    DeliveryFacts,
    Method,
    PersonalData,
    Touchpoint,
)

TERMINALS = ("Årsta", "Malmö", "Göteborg", "Jönköping", "Växjö", "Umeå", "Sundsvall", "Hallsberg", "Segeltorp")
MERCHANTS = (("fjallbod", "Fjällbod"), ("linnegard", "Linnegård"), ("trad-knapp", "Tråd & Knapp"), ("glod", "Glöd"))
_METHODS = {
    Method.SERVICE_POINT: 55,
    Method.PARCEL_LOCKER: 18,
    Method.HOME_DAY: 14,
    Method.HOME_EVENING: 10,
    Method.HOME_BOX: 3,
}
_TOUCHPOINT = {Method.SERVICE_POINT: Touchpoint.SHOP_PICKUP, Method.PARCEL_LOCKER: Touchpoint.LOCKER}
_SCORES_ON_TIME = (1, 2, 6, 28, 63)
_SCORES_LATE = (14, 22, 24, 26, 14)
_PRAISE = {
    "sv": ("Ringde innan och bar in paketet.", "Kom på minuten. Alltid ett vänligt ord.", "Smidigt i luckan."),
    "en": ("Called ahead and carried it in.", "Right on time.", "Easy to collect."),
}
_COMPLAINTS = {
    "sv": (
        "Tiden sa 10–12 men paketet kom efter ett.",
        "Skåpet var fullt, fick åka till nästa ort.",
        "Ingen avisering.",
    ),
    "en": ("It came two hours after the promised time.", "The locker was full.", "No notice at all."),
}
_OLD = timedelta(days=30)
_COMMENTS_FROM = 4
_ABROAD_AT_NIGHT = 0.5
_UNTIL_THE_NEXT = 300
"""Deliveries between a person's STOP and their next parcel: time enough for the word to get round."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a recipient will do with a request.

    Attributes:
        answers: taps a face at all.
        changes_to: taps another face afterwards.
        comment: writes this.
        contested: says that the parcel never came, instead of a face.
        stops: replies STOP to the text message, and does nothing else.
    """

    answers: bool
    score: int = 3
    changes_to: int | None = None
    comment: str | None = None
    contested: bool = False
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One delivery to be published, and what its recipient will do."""

    delivery: DeliveryCompleted
    address: str
    behaviour: Behaviour
    repeats: int = 1


class Town:
    """Makes up deliveries and people; the same seed makes the same ones, `before` of whom live here already.

    Attributes:
        raining: many deliveries are late.
        night: every second parcel goes to where people sleep now.
    """

    def __init__(self, seed: int, brand: str, before: int = 0, *, stoppers: float = 0.0) -> None:
        """`stoppers`: the share of those reached by text message who reply STOP, and get another parcel later."""
        self._dice = random.Random(seed)
        self._brand = brand
        self._made = before
        # A delivery id is never used again, so a second run must not repeat those of the first.
        self._run = uuid4().hex[:10]
        self._stoppers = stoppers
        self._stopped: deque[tuple[int, ContactChannel]] = deque()
        self.raining = False
        self.night = False

    def begin_after(self, deliveries: int) -> None:
        """Let what comes next be orders of people who were not here for so many deliveries of earlier runs."""
        self._made = deliveries

    def next_case(self, now: datetime) -> Case:
        """One more delivery, as it would come from upstream."""
        dice = self._dice
        self._made += 1
        method = dice.choices(list(_METHODS), list(_METHODS.values()))[0]
        late = dice.random() < (0.45 if self.raining else 0.06)
        language = dice.choices(["sv", "en", "da"], [86, 10, 4])[0]
        channel, behaviour = self._recipient(late, language)
        asleep = self.night and dice.random() < _ABROAD_AT_NIGHT
        odd = dice.random()
        merchant_id, merchant_name = dice.choice(MERCHANTS)
        route = dice.randint(1, 40)
        facts = DeliveryFacts(
            delivery_id=f"D-{self._run}-{self._made}",
            order_id=f"O-{self._made}",
            carrier=self._brand,
            merchant_id=merchant_id,
            merchant_name=merchant_name,
            terminal=dice.choices(TERMINALS, range(len(TERMINALS) + 4, 4, -1))[0],
            route=f"Rutt {route}",
            driver=f"driver-{route % 25:02d}",
            country="NO" if asleep else "SE",
            postcode_prefix=f"{dice.randint(10, 98)}",
            method=method,
            method_chosen_by_recipient=dice.random() < 0.8,
            late=late,
            touchpoint=_TOUCHPOINT.get(method, Touchpoint.HOME),
            exceptions=(DeliveryException.DAMAGED,) if odd < 0.01 else (),
            occurred_at=now - (_OLD if 0.01 <= odd < 0.015 else timedelta(seconds=dice.randint(0, 50))),
            zone=zone_at_night(now) if asleep else "Europe/Stockholm",
        )
        reachable = not 0.015 <= odd < 0.045
        delivery = DeliveryCompleted(
            delivery=facts,
            pii=PersonalData(language=language, channels=(channel,) if reachable else ()),
        )
        return Case(delivery, channel.address, behaviour, repeats=2 if dice.random() < 0.03 else 1)

    def _recipient(self, late: bool, language: str) -> tuple[ContactChannel, Behaviour]:
        """Somebody new, or who said STOP a while ago and must not be asked about this parcel."""
        kind = self._dice.choices([ChannelKind.SMS, ChannelKind.EMAIL], [70, 30])[0]
        behaviour = self._behave(late, language)
        if self._stopped and self._stopped[0][0] < self._made - _UNTIL_THE_NEXT:
            return self._stopped.popleft()[1], Behaviour(answers=False)
        if kind is ChannelKind.EMAIL:
            return ContactChannel(kind=kind, address=f"r{self._made}@mottagare.example"), behaviour
        # 070-174 06xx and .example are reserved for fiction; these numbers are longer than any real one.
        channel = ContactChannel(kind=kind, address=f"+46701740{self._made % 10_000_000:07d}")
        if self._dice.random() < self._stoppers:
            self._stopped.append((self._made, channel))
            behaviour = Behaviour(answers=False, stops=True)
        return channel, behaviour

    def _behave(self, late: bool, language: str) -> Behaviour:
        dice = self._dice
        score = dice.choices(range(1, 6), _SCORES_LATE if late else _SCORES_ON_TIME)[0]
        words = (_PRAISE if score >= _COMMENTS_FROM else _COMPLAINTS)["sv" if language == "sv" else "en"]
        return Behaviour(
            answers=dice.random() < 0.6,
            score=score,
            changes_to=dice.randint(1, 5) if dice.random() < 0.04 else None,
            comment=dice.choice(words) if dice.random() < 0.35 else None,
            contested=dice.random() < 0.005,
        )


def zone_at_night(now: datetime) -> str:
    """A zone in which it is between one and two o'clock at night.

    Names of these zones count westwards: in `Etc/GMT+5` it is five hours earlier than in UTC.
    """
    ahead = (1 - now.astimezone(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}"


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)
