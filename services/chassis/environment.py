"""Settings from environment variables that start with `KVITTERA_`, and secrets from files that these name."""

import os
from difflib import get_close_matches
from pathlib import Path

from pydantic import SecretStr, ValidationError

from services.chassis.failures import MustStop
from services.chassis.settings import PREFIX, Settings


def load_settings(environment: dict[str, str] | None = None, **overrides: object) -> Settings:
    """Read and check the settings.

    Raises:
        MustStop: names every setting that is unknown or wrong, never its value.
    """
    variables = dict(os.environ) if environment is None else environment
    ours = _with_files_read({name: text for name, text in variables.items() if name.upper().startswith(PREFIX)})
    given = {name.upper().removeprefix(PREFIX).lower(): text for name, text in ours.items()}
    unknown = sorted(name for name in ours if name.upper().removeprefix(PREFIX).lower() not in Settings.model_fields)
    if unknown:
        raise MustStop(f"unknown setting {', '.join(map(_or_rather, unknown))}; docs/settings.md lists all settings")
    try:
        return Settings.model_validate({**given, **overrides})
    except ValidationError as error:
        wrong = "; ".join(f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False))
        raise MustStop(f"wrong setting {wrong}") from None


def _or_rather(unknown: str) -> str:
    """The name, with the setting that was meant by it where one is spelled nearly so."""
    near = get_close_matches(unknown.upper().removeprefix(PREFIX).lower(), Settings.model_fields, n=1, cutoff=0.8)
    return f"{unknown} (perhaps {PREFIX}{near[0].upper()})" if near else unknown


def _with_files_read(ours: dict[str, str]) -> dict[str, str]:
    """A secret may stand in a file: `KVITTERA_<SECRET>_FILE` names it, as container platforms mount secrets."""
    found = dict(ours)
    for name, path in ours.items():
        secret = name.upper().removeprefix(PREFIX).removesuffix("_FILE").lower()
        field = Settings.model_fields.get(secret)
        if not name.upper().endswith("_FILE") or field is None or field.annotation is not SecretStr:
            continue
        if any(other.upper() == PREFIX + secret.upper() for other in ours):
            raise MustStop(f"{PREFIX}{secret.upper()} and {name} are both set: give one of them")
        try:
            found[PREFIX + secret.upper()] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise MustStop(f"wrong setting {name}: the file cannot be read ({type(error).__name__})") from None
        del found[name]
    return found
