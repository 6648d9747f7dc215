"""Web push: encrypted for one browser (RFC 8291), signed for its push service (RFC 8292), sent as RFC 8030 says."""

import base64
import json
import os
import time
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey

from schemas.delivery import ChannelKind
from services.chassis.failures import MustStop
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import ProviderTable, Surroundings
from services.notifier.channels.http_call import Caller
from services.notifier.channels.safe_address import Doorman, UnsafeAddressError, by_system

_KEPT_SECONDS = 24 * 3600
_TOKEN_SECONDS = 12 * 3600
_RECORD = 4096
_GONE = frozenset({404, 410})


class WebPushTable(ProviderTable):
    """`adapter = "webpush"`; the VAPID private key (PEM, P-256) stands in `secret_file`."""

    adapter: Literal["webpush"]
    contact: str
    """`mailto:` or `https:` address that a push service may complain to."""

    def build(self, surroundings: Surroundings) -> "WebPush":  # noqa: ARG002  it needs none
        """The channel."""
        return WebPush(self, self.secret(), Doorman(by_system))


@dataclass(frozen=True, slots=True)
class Subscription:
    """A browser's address, as `PushSubscription.toJSON()` gives it."""

    endpoint: str
    browser_key: bytes
    auth: bytes

    @classmethod
    def read(cls, text: str) -> "Subscription":
        """Read one.

        Raises:
            ValueError: it is none.
        """
        try:
            told = json.loads(text)
            key, auth = unbase64(told["keys"]["p256dh"]), unbase64(told["keys"]["auth"])
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
            return cls(str(told["endpoint"]), key, auth)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError("not a push subscription") from error


class WebPush:
    """Hands messages to the browsers' push services."""

    kinds = frozenset({ChannelKind.PUSH})

    def __init__(self, table: WebPushTable, vapid_pem: str, doorman: Doorman) -> None:
        try:
            private = load_pem_private_key(vapid_pem.encode(), None)
            self._key = ECKey.import_key(vapid_pem)
        except ValueError:
            raise MustStop(f"provider {table.name}: secret_file holds no private key in PEM") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
            raise MustStop(f"provider {table.name}: the key must be of the curve P-256")
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self._public = to_base64(point)
        self._table = table
        self._doorman = doorman
        self._caller = Caller(table.name, table.timeout_seconds, keep=False)

    async def send(self, message: Message) -> Result:
        """Hand over; a subscription that is gone is refused for good."""
        name = self._table.name
        try:
            subscription = Subscription.read(message.address)
            url, pinned = await self._doorman.pinned(subscription.endpoint)
        except UnsafeAddressError as error:
            return Result(Fate.REFUSED, f"{name}_{error}")
        except ValueError:
            return Result(Fate.REFUSED, f"{name}_no_subscription")
        except OSError:
            return Result(Fate.REFUSED_FOR_NOW, f"{name}_unreachable", 30)
        shown = json.dumps({"title": message.subject, "body": message.text, "url": message.link}).encode()
        origin = "/".join(subscription.endpoint.split("/")[:3])
        pinned["headers"] |= {
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(_KEPT_SECONDS),
            "urgency": "low",
            "authorization": f"vapid t={self._token(origin)}, k={self._public}",
        }
        answer = await self._caller.post(url, body=encrypt(shown, subscription), **pinned)
        if isinstance(answer, Result):
            return answer
        return Result(Fate.REFUSED, f"{name}_gone") if answer.status in _GONE else answer.fate(name)

    def _token(self, origin: str) -> str:
        claims = {"aud": origin, "exp": int(time.time()) + _TOKEN_SECONDS, "sub": self._table.contact}
        return jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self._key)

    async def look_up(self, reference: str) -> Result | None:  # noqa: ARG002  push services are not asked
        """A push service cannot be asked."""
        return None

    async def close(self) -> None:
        """Let connections go."""
        await self._caller.close()


def encrypt(plain: bytes, to: Subscription) -> bytes:
    """One record of `aes128gcm` (RFC 8188) under a key that only the browser can work out (RFC 8291)."""
    ours = ec.generate_private_key(ec.SECP256R1())
    our_point = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), to.browser_key)
    salt = os.urandom(16)
    shared = ours.exchange(ec.ECDH(), theirs)
    material = _hkdf(to.auth, shared, b"WebPush: info\x00" + to.browser_key + our_point, 32)
    key = _hkdf(salt, material, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _hkdf(salt, material, b"Content-Encoding: nonce\x00", 12)
    header = salt + _RECORD.to_bytes(4, "big") + bytes([len(our_point)]) + our_point
    return header + AESGCM(key).encrypt(nonce, plain + b"\x02", None)


def _hkdf(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(material)


def to_base64(raw: bytes) -> str:
    """URL-safe, without padding, as RFC 8291 writes keys."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unbase64(text: str) -> bytes:
    """The bytes again.

    Raises:
        ValueError: it is not base64.
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
