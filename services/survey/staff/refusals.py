"""Why a step of staff is not taken. Nothing was changed then."""


class NotThere(Exception):
    """There is no such thing, or it is none of this member's business; both look the same."""


class NotAllowed(Exception):
    """The member's role does not allow it; the text says who may."""


class Stale(Exception):
    """Somebody else has changed it since the page was shown."""


class Impossible(Exception):
    """It does not allow this as it stands; the text says why and what to do."""
