"""What programs may do with the survey's API."""

from enum import StrEnum


class Scope(StrEnum):
    """What a program may do."""

    WRITE = "responses:write"
    READ = "responses:read"
    KIOSK = "kiosk"
