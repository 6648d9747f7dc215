"""What a person may say of a send in doubt; apart from the work, since the command line needs it to tell its help."""

from enum import StrEnum


class Verdict(StrEnum):
    """What a person says became of a send in doubt."""

    ARRIVED = "arrived"
    LOST = "lost"
    AGAIN = "again"
