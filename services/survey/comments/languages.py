"""The language of a comment. It is told, never translated; None where the detector is not sure."""

import threading
from dataclasses import dataclass, field
from typing import Final

from lingua import IsoCode639_1, Language, LanguageDetector, LanguageDetectorBuilder

LANGUAGES: Final = ("sv", "nb", "nn", "da", "fi", "en", "de")
_KNOWN: Final = (
    Language.SWEDISH,
    Language.BOKMAL,
    Language.NYNORSK,
    Language.DANISH,
    Language.FINNISH,
    Language.ENGLISH,
    Language.GERMAN,
)
_SURE_BY: Final = 0.05
"""How far the best guess must lie before the second."""


def _build() -> LanguageDetector:
    return (
        LanguageDetectorBuilder.from_languages(*_KNOWN)
        .with_low_accuracy_mode()
        .with_minimum_relative_distance(_SURE_BY)
        .build()
    )


@dataclass(slots=True)
class Languages:
    """Tells languages apart; its tables are read at the first comment, not at the start."""

    _detector: LanguageDetector | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, text: str) -> str | None:
        """The code of the language (`sv`, `nb`, `nn`, `da`, `fi`, `en`, `de`), or None when unsure."""
        with self._lock:
            if self._detector is None:
                self._detector = _build()
        found = self._detector.detect_language_of(text)
        return None if found is None else _code(found.iso_code_639_1)


def _code(code: IsoCode639_1) -> str:
    return code.name.lower()
