"""Review offers stored and shown. An offer is decided when its invitation is learned: before any answer exists."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.invitation import InvitationDecided
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.survey.recipient.page_models import ReviewLink
from services.survey.reviews.offer import ReviewPolicies, is_offered, review_link, sampling_draw


@dataclass(frozen=True, slots=True)
class Reviews:
    """Decides offers, and makes their links."""

    policies: ReviewPolicies
    seal: Seal
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "reviews.sql"))

    @classmethod
    def none(cls) -> "Reviews":
        """No policy: nothing is offered and no key is needed."""
        return cls(ReviewPolicies(), Seal(bytes(32)))

    async def decide(self, connection: Database, decided: Sequence[Received[InvitationDecided]]) -> None:
        """Decide about new invitations; what was decided before stays, whatever the policy says now."""
        invited = {m.invitation_id: m for r in decided if (m := r.message).invitation_id is not None}
        under = [(uuid.UUID(i), m, p) for i, m in invited.items() if (p := self.policies.of(m.delivery.merchant_id))]
        if not under:
            return
        await connection.execute(
            self.sql["keep_offers"],
            [i for i, _, _ in under],
            [name for _, _, (name, _) in under],
            [m.survey for _, m, _ in under],
            [policy.rate for _, _, (_, policy) in under],
            [is_offered(m.survey, policy, sampling_draw(self.seal, str(i))) for i, m, (_, policy) in under],
        )

    async def link(
        self, pool: Pool, *, invitation_id: uuid.UUID, merchant_id: str | None, language: str
    ) -> ReviewLink | None:
        """The link for an invitation that has an offer, while its merchant still has a policy."""
        found = self.policies.of(merchant_id)
        if found is None:
            return None
        async with pool.acquire() as connection:
            offered = await connection.fetchval(self.sql["offer_of"], invitation_id)
        # A pseudonym of its own: what the review site learns leads to no delivery and no link of ours.
        reference = self.seal.pseudonym(f"review reference {invitation_id}").hex()[:16]
        return review_link(found[1], reference=reference, language=language) if offered else None
