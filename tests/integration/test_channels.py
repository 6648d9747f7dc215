"""One contract for all channels over HTTP: what is accepted, refused for good, refused for now, and in doubt.

Each is pointed at a server that behaves as providers do on bad days; the servers' own books are the judge.
"""

import asyncio
import socket

import pytest

from services.notifier.channels import Fate, Result
from tests.channel_kit import KITS, Kit
from tests.gateways import Act, answer, babble, drip, flood, gateway, hang, reset

every_channel = pytest.mark.parametrize("kit", KITS, ids=lambda k: k.name)


async def send(kit: Kit, *script: Act, timeout: float = 5) -> tuple[Result, int]:
    """The fate of one message, and how many calls the server saw."""
    async with gateway(*script) as server:
        channel = kit.make(server.port, timeout)
        result = await channel.send(kit.message(server.port))
        await channel.close()
        return result, len(server.calls)


@every_channel
async def test_a_definite_yes_is_accepted_with_one_call(kit: Kit) -> None:
    assert await send(kit, answer(*kit.accepted)) == (Result(Fate.ACCEPTED), 1)


@every_channel
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_definite_no_to_the_message_is_a_refusal(kit: Kit, status: int) -> None:
    result, calls = await send(kit, answer(status))
    assert (result.fate, calls) == (Fate.REFUSED, 1)
    assert result.reason is not None
    assert result.reason.endswith(f"_{status}")


@every_channel
async def test_too_many_is_a_refusal_for_now_for_as_long_as_the_server_says(kit: Kit) -> None:
    result, calls = await send(kit, answer(429, retry_after="17"))
    assert (result.fate, result.again_after, calls) == (Fate.REFUSED_FOR_NOW, 17, 1)


@every_channel
@pytest.mark.parametrize("status", [301, 307, 401, 402, 403])
async def test_trouble_with_our_account_or_address_never_costs_a_recipient_the_question(kit: Kit, status: int) -> None:
    result, calls = await send(kit, answer(status, location="http://127.0.0.1:1/elsewhere"))
    assert (result.fate, result.again_after, calls) == (Fate.REFUSED_FOR_NOW, 300, 1)


@every_channel
@pytest.mark.parametrize("status", [408, 500, 502, 504])
async def test_an_error_that_may_have_come_after_the_message_was_taken_is_a_doubt(kit: Kit, status: int) -> None:
    result, calls = await send(kit, answer(status))
    assert (result.fate, calls) == (Fate.IN_DOUBT, 1)


@every_channel
@pytest.mark.parametrize("act", [hang, reset, babble, drip], ids=lambda a: a.__name__)
async def test_a_call_without_a_whole_answer_is_a_doubt_and_is_not_made_again(kit: Kit, act: Act) -> None:
    async with asyncio.timeout(30):
        result, calls = await send(kit, act, timeout=0.4)
    assert (result.fate, calls) == (Fate.IN_DOUBT, 1)


@every_channel
async def test_a_yes_whose_body_never_ends_is_a_yes_and_is_not_read_to_the_end(kit: Kit) -> None:
    async with asyncio.timeout(30):
        assert await send(kit, flood, timeout=1) == (Result(Fate.ACCEPTED), 1)


@every_channel
async def test_nobody_listening_is_a_refusal_for_now(kit: Kit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    channel = kit.make(port, 2)
    result = await channel.send(kit.message(port))
    await channel.close()
    assert (result.fate, result.again_after) == (Fate.REFUSED_FOR_NOW, 30)


@every_channel
@pytest.mark.parametrize("body", ["", "[]", "null", '"code"', '{"code": []}', '{"error": 3}', "\x00", "x" * 100_000])
async def test_whatever_stands_in_an_answer_its_status_decides(kit: Kit, body: str) -> None:
    assert (await send(kit, answer(400, body)))[0].fate is Fate.REFUSED
    assert (await send(kit, answer(500, body)))[0].fate is Fate.IN_DOUBT


@every_channel
async def test_no_channel_claims_to_know_what_it_cannot_look_up(kit: Kit) -> None:
    channel = kit.make(1, 1)
    assert await channel.look_up("ref-1") is None
    await channel.close()
