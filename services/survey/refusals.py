"""Why a post is not kept."""


class Refused(Exception):
    """The answer is not kept; `reason` is for the metrics, `text` for programs."""

    def __init__(self, reason: str, status: int, text: str, revision: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status
        self.text = text
        self.revision = revision
        """For 412: the revision that stands."""
