"""A page as a reader takes it: tags in order, and the visible text."""

from html.parser import HTMLParser

VOID = {"meta", "input", "br", "path", "circle", "use", "link", "wbr"}


class Page(HTMLParser):
    """The tags and the visible text of a page; fails on tags that are not closed in order."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inline: dict[str, list[str]] = {"style": [], "script": []}
        self._open: list[str] = []
        self.feed(html.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.inline[self._open[-1]] if self._open and self._open[-1] in self.inline else self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).replace("\N{SOFT HYPHEN}", "").split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]
