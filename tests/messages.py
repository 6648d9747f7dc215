"""The messages as files that a person can read: `python -m tests.messages` writes them again after a wanted change."""

from pathlib import Path

from schemas.delivery import ChannelKind
from services.notifier.gallery import Choice, as_text, samples
from services.notifier.policy import LANGUAGES
from services.notifier.render import Renderer, Sender

FOLDER = Path(__file__).parent / "unit" / "messages"
SENDER = Sender("Nordposten Demo", "08-465 004 10", "hjalp@nordposten.example", "https://svar.nordposten.example")
_SMS, _EMAIL = ChannelKind.SMS.value, ChannelKind.EMAIL.value
_STORM = {
    "sv": "Snöstorm i fjällen",
    "nb": "Snøstorm i fjellet",
    "nn": "Snøstorm i fjellet",
    "da": "Snestorm i landet",
    "fi": "Lumimyrsky pohjoisessa",
    "en": "Snowstorm in the north",
    "de": "Schneesturm im Norden",
}


def written(language: str) -> str:
    """All messages of a language, in the order in which the file has them."""
    one = (language,)
    chapters = {
        "Requests": Choice(languages=one),
        "Without a shop": Choice(languages=one, channels=(_SMS, _EMAIL), merchant=""),
        "Reminders": Choice(languages=one, channels=(_SMS, _EMAIL), reminder=True),
        "The shop asks beside the carrier": Choice(languages=one, occasions=("home",), co_brand=True),
        "Disrupted, told in the operator's words": Choice(languages=one, occasions=("home",), notice=_STORM[language]),
        "Disrupted, without words for it": Choice(languages=one, occasions=("home",), channels=(_SMS,), notice=""),
    }
    renderer = Renderer(SENDER)
    return "\n".join(
        f"# {title}\n\n" + "\n".join(map(as_text, samples(renderer, choice))) for title, choice in chapters.items()
    )


if __name__ == "__main__":
    for code in LANGUAGES:
        (FOLDER / f"{code}.txt").write_text(written(code), encoding="utf-8")
