"""What a new program asks for, checked: scopes that fit together, and a place for a kiosk. Pure."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from services.chassis.failures import MustStop
from services.survey.api.clients import Place
from services.survey.api.keys import Scope


def read_scopes(texts: Sequence[str]) -> frozenset[Scope]:
    """The scopes asked for.

    Raises:
        MustStop: one is unknown, or `kiosk` comes with others: a tablet in a shop must not open more than taps.
    """
    known = {str(s) for s in Scope}
    if unknown := sorted(set(texts) - known):
        raise MustStop(f"unknown scope {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    scopes = frozenset(Scope(t) for t in texts)
    if Scope.KIOSK in scopes and len(scopes) > 1:
        raise MustStop("a kiosk's key may do nothing else; make a second key for the other scopes")
    return scopes


def read_place(scopes: frozenset[Scope], given: Mapping[str, str | None]) -> Place | None:
    """Where a kiosk stands; None for other programs.

    Raises:
        MustStop: a kiosk without a place, a place without a kiosk, or a value that does not fit.
    """
    told = {name: text for name, text in given.items() if text is not None}
    if Scope.KIOSK not in scopes:
        if told:
            raise MustStop(f"only a kiosk has a {', '.join(sorted(told)).replace('_', ' ')}; add --scope kiosk")
        return None
    if not {"terminal", "service_point"} & told.keys():
        raise MustStop("a kiosk needs --terminal or --service-point")
    try:
        return Place.model_validate(told)
    except ValidationError as error:
        wrong = "; ".join(f"--{e['loc'][0]}: {e['msg']}" for e in error.errors(include_input=False, include_url=False))
        raise MustStop(f"the kiosk's place: {wrong}") from None
