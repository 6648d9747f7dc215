"""What the providers' file may say: one table a provider, read strictly; secrets stand in files of their own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from services.chassis.failures import MustStop
from services.notifier.channels import Channel
from services.notifier.channels.receipt_links import ReceiptLinks


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every adapter may need from the service: where receipts come in, and under which name we write."""

    links: ReceiptLinks
    brand: str


class ProviderTable(BaseModel, ABC):
    """What every provider's table holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")
    """Our name for it, in reasons and metrics."""
    weight: int = Field(default=100, ge=0, le=100)
    """Its share of messages among providers of the same kind; 0 is used only when the others take nothing."""
    timeout_seconds: float = Field(default=20, gt=0, le=120)
    """A call without an answer after this long is in doubt."""
    secret_file: Path | None = None
    """File with the key, token or password."""

    @property
    def longest_call_seconds(self) -> float:
        """So long one hand-over may take."""
        return self.timeout_seconds

    @abstractmethod
    def build(self, surroundings: Surroundings) -> Channel:
        """The channel that this table describes."""

    def secret(self) -> str:
        """The secret.

        Raises:
            MustStop: there is no such file.
        """
        if self.secret_file is None:
            raise MustStop(f"provider {self.name} needs secret_file")
        return read_secret(self.name, self.secret_file)


def read_secret(provider: str, path: Path, setting: str = "secret_file") -> str:
    """A secret of a provider.

    Raises:
        MustStop: there is no such file.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise MustStop(f"provider {provider}: {setting} cannot be read ({type(error).__name__})") from None
