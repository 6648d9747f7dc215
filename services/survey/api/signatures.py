"""Signatures of webhooks, as Standard Webhooks has it: HMAC-SHA256 over id, moment and body."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from services.chassis.failures import MustStop


@dataclass(frozen=True, slots=True)
class Signatures:
    """Knows the secrets that hold now: several while one takes over from another."""

    webhooks: tuple[Webhook, ...]

    @classmethod
    def from_setting(cls, secrets: SecretStr) -> "Signatures":
        """Read `whsec_…` secrets, separated by commas; without any, nothing is ever signed right.

        Raises:
            MustStop: one is not base64.
        """
        texts = [t.strip() for t in secrets.get_secret_value().split(",") if t.strip()]
        try:
            return cls(tuple(Webhook(t) for t in texts))
        except (binascii.Error, ValueError, EmptyWebhookSecretError):
            raise MustStop("wrong setting KVITTERA_INBOUND_SECRETS: give secrets of the form whsec_<base64>") from None

    def hold(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether one of the secrets signed this, at most five minutes ago (or ahead)."""
        return any(_holds(webhook, headers, body) for webhook in self.webhooks)


def _holds(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: the library's own reading of broken headers
        return False
    return True
