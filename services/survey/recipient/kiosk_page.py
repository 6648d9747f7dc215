"""The page of a kiosk: five large faces for a tablet on a counter. It holds no key; the tablet brings its own."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.web import SCORES, face, faces_sprite, inline_assets, recipient_css
from services.survey.languages import LANGUAGES, accepted_language, choose_language
from services.survey.recipient.wording import load_wordings

_PAGES: Final = Path(__file__).parent / "pages"


class KioskPage:
    """The page in every language, rendered once; a tap within `debounce` of another corrects it."""

    def __init__(self, brand: str, debounce: timedelta, *, demo: bool = False) -> None:
        assets = inline_assets(
            recipient_css() + (_PAGES / "kiosk.css").read_text("utf-8"), (_PAGES / "kiosk.js").read_text("utf-8")
        )
        self._headers = assets.headers
        template = Environment(
            loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined, auto_reload=False
        ).get_template("kiosk.html")
        self._bodies = {
            language: template.render(
                t=words,
                brand=brand,
                demo=demo,
                debounce=round(debounce.total_seconds() * 1000),
                assets=assets,
                languages=LANGUAGES,
                faces_sprite=faces_sprite(),
                scores=SCORES,
                faces={score: face(score, 144) for score in SCORES},
            ).encode()
            for language, words in load_wordings().items()
        }

    def route(self) -> Route:
        """`GET /kiosk`."""
        return Route("/kiosk", self._show)

    async def _show(self, request: Request) -> Response:
        accepted = accepted_language(request.headers)
        language = choose_language(request.query_params.get("lang"), accepted).language
        return Response(self._bodies[language], headers=self._headers, media_type="text/html")
