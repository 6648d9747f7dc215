"""Cookies of the sign-in: not for scripts, not for other sites, not for plain HTTP."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and attributes. `secure` is off only for HTTP on this machine, where `__Host-` is impossible."""

    secure: bool

    @property
    def session(self) -> str:
        """Name of the session's cookie."""
        return "__Host-kvittera" if self.secure else "kvittera-loopback"

    @property
    def attempt(self) -> str:
        """Name of the cookie that holds a sign-in until the provider answers."""
        return f"{self.session}-attempt"

    def header(self, name: str, value: str, seconds: int) -> str:
        """The `Set-Cookie` header; no seconds take the cookie away."""
        secure = "; Secure" if self.secure else ""
        return f"{name}={value}; Max-Age={max(0, seconds)}; Path=/; HttpOnly; SameSite=Lax{secure}"
