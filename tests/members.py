"""Staff for tests: members by name, behind a gate that knows them by a header."""

from starlette.requests import HTTPConnection
from starlette.responses import Response

from services.chassis.http import problem
from services.chassis.staff import EVERYWHERE, Member, Role

LEAD = Member("lead-1", "Lena Ledare", {EVERYWHERE: Role.LEAD})
AGENT = Member("agent-1", "Anton Agent", {"Årsta": Role.AGENT})
READER = Member("reader-1", "Rut Läsare", {"Årsta": Role.READER})
ELSEWHERE = Member("lead-2", "Lo Annan", {"Umeå": Role.LEAD})
DRIVER = Member("driver-1", "Dan Förare", {"DRV-1": Role.DRIVER})
MEMBERS = {member.subject: member for member in (LEAD, AGENT, READER, ELSEWHERE, DRIVER)}


class HeaderGate:
    """Knows a member by the header `x-member`."""

    def who(self, connection: HTTPConnection) -> Member | None:
        return MEMBERS.get(connection.headers.get("x-member", ""))

    def form_secret(self, member: Member) -> str:
        return f"secret of {member.subject}"

    def form_is_ours(self, member: Member, given: str) -> bool:
        return given == self.form_secret(member)

    def turn_away(self, _: HTTPConnection) -> Response:
        return problem(401, "Sign in first")
