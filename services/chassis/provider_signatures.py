"""How providers of messages sign what they report; both the notifier and the survey hear from them."""

import base64
import hashlib
import hmac
from collections.abc import Mapping


def twilio(token: str, url: str, form: Mapping[str, str]) -> str:
    """`X-Twilio-Signature`: base64 of HMAC-SHA1 over the address and every field, by name.

    https://www.twilio.com/docs/usage/security
    """
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def meta(secret: str, body: bytes) -> str:
    """`X-Hub-Signature-256`: HMAC-SHA256 over the body.

    https://developers.facebook.com/docs/graph-api/webhooks/getting-started
    """
    return f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())
