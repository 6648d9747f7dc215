"""The phones of the demo page, drawn from messages as the notifier writes them."""

from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Route

import services.demo.page
from services.chassis.web.files import page_files
from tests.chromium import leave

ORIGIN: Final = "http://demo.example"
PHONES: Final[list[dict[str, Any]]] = [
    {"kind": "sms", "state": "arrived", "language": "sv", "brand": "Nordposten Demo och Tråd & Knapp", "text": "Hur?"},
    {
        "kind": "email",
        "state": "arrived",
        "language": "en",
        "brand": "Nordposten Demo and Glöd",
        "subject": "How did it go?",
        "text": "Nordposten Demo and Glöd\n\nHow did it go?\n\nParcel from Glöd.\n\nAnswer: http://demo.example/r/abc",
    },
]
_PAGE: Final = '<ol id="phones"><li></li><li></li></ol>'
_DRAW: Final = """async (all) => {
  const { phones } = await import("/demo/assets/phones.js");
  phones(document.getElementById("phones"))(all);
  return [...document.querySelectorAll("#phones li:last-child :is(.subject, .mail)")].map((one) => one.textContent);
}"""


async def test_a_mail_is_from_whom_it_says_itself_whatever_message_stands_beside_it(chromium: Browser) -> None:
    files = page_files(Path(services.demo.page.__file__).with_suffix(""))

    async def answer(route: Route) -> None:
        file = files.get(route.request.url.rpartition("/")[2])
        await route.fulfill(body=file.body if file else _PAGE, content_type=file.content_type if file else "text/html")

    context = await chromium.new_context()
    await context.route("**/*", answer)
    page = await context.new_page()
    await page.goto(f"{ORIGIN}/page")
    drawn = await page.evaluate(_DRAW, PHONES)
    await leave(context.close)
    assert drawn == ["Nordposten Demo and Glöd", "How did it go?", "Parcel from Glöd."]
