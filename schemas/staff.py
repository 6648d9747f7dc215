"""What services must know of staff: whose sign-in is over. Names nobody."""

from schemas.contract import Contract, Identifier, Instant


class SessionEnded(Contract):
    """`session.ended.v1`: sign-ins of a member of staff ended before their time, key = member."""

    member: Identifier
    """Pseudonym of the member; the provider's name for the person does not stand in the topic."""
    session: Identifier | None = None
    """Which sign-in is over, by its random id; none: all that began at `ended_at` or before."""
    ended_at: Instant
    """When it ended."""
