"""The language of a comment. It is told, never translated; None where the detector is not sure."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

LANGUAGES: Final = ("sv", "nb", "nn", "da", "fi", "en", "de")
_CODES: Final = {"no": "nb"} | {code: code for code in LANGUAGES if code != "nb"}
"""Our codes by those of the model, which calls bokmål just Norwegian."""
_SURE_FROM: Final = 0.55
"""The least share of belief; Danish and the two Norwegians share most of a short comment."""


def _build() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=_SURE_FROM)
    identifier.set_languages(list(_CODES))
    return identifier


@dataclass(slots=True)
class Languages:
    """Tells languages apart; its tables (about 100 MB) are read at the first comment, not at the start."""

    _identifier: "LanguageIdentifier | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, text: str) -> str | None:
        """The code of the language (`sv`, `nb`, `nn`, `da`, `fi`, `en`, `de`), or None when unsure."""
        with self._lock:
            if self._identifier is None:
                self._identifier = _build()
        code, _ = self._identifier.classify(text)
        return _CODES.get(code)
