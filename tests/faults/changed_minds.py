"""Recipients who are done come back one after another and tap another face."""

import asyncio
import random
from dataclasses import dataclass, field

import aiohttp

from services.chassis.pauses import pause_or_stop
from services.demo.phone import Phone
from services.demo.recipients import Acknowledged, Recipients

_BETWEEN_CHANGES = 0.06


@dataclass(slots=True)
class ChangedMinds:
    """Answers that are changed while faults happen.

    Attributes:
        wrong: where is noted what must never be.
        changed: answers that recipients changed afterwards, acknowledged.
    """

    recipients: Recipients
    wrong: list[str]
    changed: int = 0
    _dice: random.Random = field(default_factory=lambda: random.Random(3))

    async def run(self, stop: asyncio.Event) -> None:
        timeout = aiohttp.ClientTimeout(total=5)
        never = asyncio.Event()  # a change that was begun is brought to its end, or nobody knows what is saved
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            phone = Phone(session, never, self.recipients.retries)
            while not await pause_or_stop(_BETWEEN_CHANGES, stop):
                if self.recipients.recent:
                    await self._change_one(phone, self._dice.choice(self.recipients.recent)["link"])

    async def _change_one(self, phone: Phone, link: str) -> None:
        token = link.rpartition("/r/")[2]
        said = self.recipients.acknowledged[token]
        if said.contested:
            return
        score = (said.score or 0) % 5 + 1
        url = f"{self.recipients.survey_url}/r/{token}"
        of_page = await phone.open(url)
        assert of_page is not None
        revision = await phone.tap(url, {**of_page, "score": str(score)})
        assert revision is not None
        if revision <= said.revision:
            self.wrong.append(f"revision {revision} was acknowledged after {said.revision}")
        self.recipients.acknowledged[token] = Acknowledged(token, score, said.contested, revision)
        self.changed += 1
