"""`kvittera erase`: erase a person everywhere."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.chassis.persons import Person
    from services.chassis.settings import Settings
    from services.notifier.erasure import Erasure


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Privacy")(erase)


def erase(
    person: Annotated[
        list[str] | None, typer.Option(help="A person id, 32 hex digits, as in invitation.decided.v1.")
    ] = None,
    phone: Annotated[
        list[str] | None, typer.Option(help="A phone number with country code, such as +46701740634.")
    ] = None,
    email: Annotated[list[str] | None, typer.Option(help="A mail address.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to go on.")] = False,
) -> None:
    """Erase a person: contact data, links, comments and contact wishes, for good.

    A person is known by a pseudonym made from an address, so give every address of the person; the options
    can be repeated. The person's key is destroyed at once, what was planned is withdrawn, and the other
    services are told through person.erased.v1 and do the same. Scores stay in the counters: they name nobody.

    A delivery after the erasure is a new relation and may be asked about again; to never ask again is a
    preference, not an erasure. Erasing twice changes nothing. What Kafka still holds of the inbound topic goes
    with its retention (docs/privacy.md).
    """
    from services.embedded.local import reachable

    if not (person or phone or email):
        raise typer.BadParameter("give --person, --phone or --email")
    with reachable(postgres=True) as settings:
        persons = _persons(settings, person or [], phone or [], email or [])
        if not yes:
            typer.confirm(f"Erase {', '.join(p.hex() for p in persons)} for good?", abort=True)
        for erased in asyncio.run(_erase(settings, persons)):
            print(_told(erased))


def _persons(settings: "Settings", ids: list[str], phones: list[str], emails: list[str]) -> "list[Person]":
    from pydantic import ValidationError

    from schemas.delivery import ChannelKind
    from services.chassis.sealing import Seal
    from services.notifier.erasure import person_of

    seal = Seal.of(settings)
    persons = [_person_id(text) for text in ids]
    try:
        persons += [person_of(seal, ChannelKind.SMS, number) for number in phones]
        persons += [person_of(seal, ChannelKind.EMAIL, address) for address in emails]
    except ValidationError:  # whose words hold the address
        raise typer.BadParameter("an address has 3 to 1024 characters, and no control characters") from None
    return list(dict.fromkeys(persons))


def _person_id(text: str) -> "Person":
    from services.chassis.persons import read_person

    if (person := read_person(text.lower())) is None:
        raise typer.BadParameter("a person id has 32 hex digits")
    return person


async def _erase(settings: "Settings", persons: "list[Person]") -> "list[Erasure]":
    from services.chassis.known_keys import check_keys
    from services.chassis.persons import PersonKeys
    from services.chassis.postgres import database_time, tables_of
    from services.chassis.sealing import Seal
    from services.notifier.erasure import Eraser

    seal = Seal.of(settings)
    eraser = Eraser(PersonKeys(seal))
    async with tables_of(settings, "notifier", command_timeout=60) as connection:
        # By another key's pseudonym nobody would be erased, and it would be told as done.
        await check_keys(connection, "notifier", seal)
        done = []
        for person in persons:
            async with connection.transaction():
                done.append(await eraser(connection, person, await database_time(connection)))
        return done


def _told(erased: "Erasure") -> str:
    name = erased.person.hex()
    if erased.before is not None:
        return f"{name}: erased already, on {erased.before:%Y-%m-%d at %H:%M} UTC; nothing has come since"
    if not erased.known:
        return (
            f"{name}: nothing was kept of this person: is the address right? The erasure stands all the same, and the"
            " other services are told"
        )
    return (
        f"{name}: key destroyed, {erased.withdrawn} planned requests withdrawn, {erased.messages} messages of the"
        " outbox viewer blanked; the other services follow as they read person.erased.v1"
    )
