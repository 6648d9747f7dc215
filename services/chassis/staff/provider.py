"""An OpenID provider: what it offers, its keys, and a code exchanged for an ID token (OpenID Connect, RFC 7636)."""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.chassis.staff.id_tokens import Expected, NotSignedIn, UnknownKey, claims_of
from services.chassis.staff.origins import is_loopback

_KEY_PAUSE_SECONDS = 60.0
"""A token with an unknown key makes us ask for keys, but not more often than this."""
_METADATA_SECONDS = 3600.0
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
CALLBACK = "/staff/callback"


class ProviderAway(Exception):
    """The provider does not answer, or not as the specification says."""


@dataclass(slots=True)
class Provider:
    """One provider, asked with timeouts; what it says about itself and its keys is kept for a while."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    client: httpx2.AsyncClient
    seconds: Callable[[], float] = time.monotonic
    _metadata: dict[str, Any] = field(default_factory=dict)
    _metadata_at: float = 0.0
    _keys: KeySet | None = None
    _keys_at: float = 0.0
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to sign in.

        Raises:
            ProviderAway: the provider cannot be asked.
        """
        metadata = await self._discover()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        endpoint: str = metadata["authorization_endpoint"]
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def claims(self, code: str, *, nonce: str, verifier: str, now: datetime) -> dict[str, Any]:
        """Exchange a code; the claims of the checked ID token.

        Raises:
            NotSignedIn: the provider refuses the code, or the token does not hold.
            ProviderAway: the provider cannot be asked.
        """
        token = await self._exchange(code, verifier)
        expected = Expected(self.issuer, self.client_id, nonce)
        keys = await self._known_keys()
        try:
            return claims_of(token, keys, expected, now)
        except UnknownKey:
            newer = await self._newer_keys(keys)
            return claims_of(token, newer, expected, now)

    async def check(self) -> None:
        """See that the provider tells what it offers, and its keys. Nothing of ours is shown to it.

        Raises:
            ProviderAway: nobody can sign in there now.
        """
        await self._known_keys()

    async def _exchange(self, code: str, verifier: str) -> str:
        metadata = await self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        auth = None
        if self.client_secret and "client_secret_basic" in methods:
            auth = httpx2.BasicAuth(quote(self.client_id, safe=""), quote(self.client_secret, safe=""))
        else:
            form |= {"client_id": self.client_id}
            form |= {"client_secret": self.client_secret} if self.client_secret else {}
        told = await self._ask("POST", metadata["token_endpoint"], data=form, auth=auth)
        token = told.get("id_token")
        if not isinstance(token, str):
            raise NotSignedIn("code")
        return token

    async def _discover(self) -> dict[str, Any]:
        async with self._asking:
            if not self._metadata or self.seconds() - self._metadata_at > _METADATA_SECONDS:
                told = await self._ask("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                if told.get("issuer") != self.issuer:
                    raise ProviderAway("names itself otherwise than KVITTERA_OIDC_ISSUER")
                if not all(is_safe_url(told.get(name)) for name in _ENDPOINTS):
                    raise ProviderAway("offers endpoints without https")
                self._metadata, self._metadata_at = told, self.seconds()
            return self._metadata

    async def _known_keys(self) -> KeySet:
        return self._keys if self._keys is not None else await self._newer_keys(None)

    async def _newer_keys(self, seen: KeySet | None) -> KeySet:
        metadata = await self._discover()
        async with self._asking:
            if self._keys is not None and self._keys is not seen:
                return self._keys  # somebody else asked meanwhile
            if self._keys is not None and self.seconds() - self._keys_at < _KEY_PAUSE_SECONDS:
                return self._keys
            told = await self._ask("GET", metadata["jwks_uri"])
            self._keys = usable_keys(told.get("keys"))
            self._keys_at = self.seconds()
            return self._keys

    async def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        try:
            reply = await self.client.request(method, url, headers={"accept": "application/json"}, **options)
            told = reply.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise ProviderAway(type(error).__name__) from None
        if reply.status_code in {400, 401, 403} and method == "POST":
            raise NotSignedIn("code")
        if reply.status_code != httpx2.codes.OK or not isinstance(told, dict):
            raise ProviderAway(f"answers {reply.status_code}")
        return told


def challenge(verifier: str) -> str:
    """What the provider is told of a verifier at first (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def usable_keys(told: object) -> KeySet:
    """The keys that we understand; others, as on a curve of their own, are passed over (RFC 7517, section 5).

    Raises:
        ProviderAway: there is none.
    """
    keys: list[Key] = []
    for one in told if isinstance(told, list) else []:
        with suppress(JoseError, AttributeError, KeyError, TypeError, ValueError):
            keys += KeySet.import_key_set({"keys": [one]}).keys
    if not keys:
        raise ProviderAway("offers no usable keys")
    return KeySet(keys)


def is_safe_url(url: object) -> bool:
    """Whether secrets may be sent there: https, or plain HTTP on this machine."""
    parts = urlsplit(url if isinstance(url, str) else "")
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def provider_for(settings: Settings, origin: str) -> Provider:
    """The provider that the settings name.

    Raises:
        MustStop: a setting is missing or would send secrets in clear.
    """
    for name in ("oidc_issuer", "oidc_client_id"):
        if not getattr(settings, name):
            raise MustStop(f"KVITTERA_STAFF_SIGN_IN=oidc needs KVITTERA_{name.upper()}")
    if not is_safe_url(settings.oidc_issuer):
        raise MustStop("KVITTERA_OIDC_ISSUER must begin with https")
    return Provider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret.get_secret_value(),
        origin + CALLBACK,
        httpx2.AsyncClient(timeout=httpx2.Timeout(10), follow_redirects=False),
    )
