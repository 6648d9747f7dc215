"""Pages that belong to one driver: the driver sees them, and nobody else (E6)."""

from starlette.requests import Request
from starlette.responses import Response

from services.chassis.http import problem
from services.chassis.staff.members import Gate


def driver_behind(gate: Gate, request: Request) -> str | Response:
    """The pseudonym of the driver who is signed in, or the answer to everybody else."""
    member = gate.who(request)
    if member is None:
        return gate.turn_away(request)
    return member.driver or problem(403, "Only drivers have this page", "A driver sees it, and nobody else.")
