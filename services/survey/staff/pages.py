"""The pages of the sign-in as pure functions: choosing a demo account, who is signed in, and why it failed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from services.chassis.staff import EVERYWHERE, Member, Role
from services.chassis.web import (
    inline_style,
    staff_environment,
    staff_nav,
)

_PAGES: Final = Path(__file__).parent / "templates"
ROLE_WORDS: Final = {
    Role.DRIVER: "reads what is said of their own deliveries; the terminal is a pseudonym such as driver-05",
    Role.READER: "reads results, cases and praise",
    Role.AGENT: "works on cases and passes praise on",
    Role.LEAD: "assigns cases and approves what the whiteboard shows",
    Role.ADMIN: "sees who looked at whose contact details",
}


@dataclass(frozen=True, slots=True)
class StaffPages:
    """Renders the three pages; `headers` go with each."""

    environment: Environment
    headers: dict[str, str]

    @classmethod
    def load(cls, *, demo: bool) -> "StaffPages":
        """Read the templates and the style."""
        environment = staff_environment(
            _PAGES,
            skip_label="Skip to the content",
            scope_note="demo data" if demo else "",
            role_words=ROLE_WORDS,
        )
        headers = inline_style(environment, _PAGES / "sign_in.css")
        return cls(environment, headers)

    def choose_account(self, onwards: str) -> bytes:
        """The demo's accounts: nobody is asked for a password, and the page says so."""
        return self._render("choose_account", nav=[], initials="", onwards=onwards)

    def signed_in(self, member: Member, form_secret: str) -> bytes:
        """Who is signed in, what they may do where, the pages, and the way out."""
        roles = [("Every terminal" if t == EVERYWHERE else t, role) for t, role in sorted(member.roles.items())]
        return self._render(
            "signed_in",
            nav=staff_nav(),
            initials=member.initials,
            name=member.name,
            roles=roles,
            form_secret=form_secret,
        )

    def notice(self, title: str, text: str) -> bytes:
        """One sentence, and the way to the sign-in."""
        return self._render("staff_notice", nav=[], initials="", notice_title=title, text=text)

    def _render(self, template: str, **values: Any) -> bytes:
        return self.environment.get_template(f"{template}.html").render(**values).encode()
