"""Which provider gets a message, what the providers' file may say, and which addresses may be called."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from schemas.delivery import ChannelKind
from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import Surroundings
from services.notifier.channels.live import smtp_table
from services.notifier.channels.providers import build_providers, read_providers
from services.notifier.channels.routed import Provider, Routed, reporting
from services.notifier.channels.safe_address import Doorman, UnsafeAddressError, by_system
from services.notifier.lease import lease_seconds
from tests.channel_kit import LINKS, SECRET, SMS, loopback

YES = Result(Fate.ACCEPTED)
NO = Result(Fate.REFUSED, "a_21211")
NOT_NOW = Result(Fate.REFUSED_FOR_NOW, "a_429", 17)
DOUBT = Result(Fate.IN_DOUBT, "a_500")
NOT_THIS = Result(Fate.REFUSED, "a_no_template", elsewhere=True)


@dataclass
class Scripted:
    """Always the same answer."""

    result: Result = YES
    known: Result | None = None
    kinds: frozenset[ChannelKind] = frozenset({ChannelKind.SMS})
    calls: list[Message] = field(default_factory=list)
    closed: bool = False

    async def send(self, message: Message) -> Result:
        self.calls.append(message)
        return self.result

    async def look_up(self, reference: str) -> Result | None:
        del reference
        return self.known

    async def close(self) -> None:
        self.closed = True


def routed(*providers: tuple[int, Scripted], draw: float = 0.0) -> Routed:
    named = [Provider(f"p{n}", weight, channel) for n, (weight, channel) in enumerate(providers)]
    return Routed(named, Metrics(), lambda: draw)


@pytest.mark.parametrize(("draw", "taken"), [(0.0, [1, 0, 0]), (0.69, [1, 0, 0]), (0.71, [0, 1, 0]), (0.99, [0, 1, 0])])
async def test_weights_share_the_messages_and_weight_nought_gets_none(draw: float, taken: list[int]) -> None:
    channels = [Scripted(), Scripted(), Scripted()]
    await routed((70, channels[0]), (30, channels[1]), (0, channels[2]), draw=draw).send(SMS)
    assert [len(c.calls) for c in channels] == taken


@pytest.mark.parametrize(("first", "calls"), [(YES, 0), (NO, 0), (DOUBT, 0), (NOT_NOW, 1)])
async def test_another_provider_is_tried_only_after_a_definite_not_now(first: Result, calls: int) -> None:
    one, two = Scripted(first), Scripted()
    result = await routed((100, one), (0, two)).send(SMS)
    assert (len(one.calls), len(two.calls)) == (1, calls)
    assert result == (YES if calls else first)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (NOT_THIS, YES, YES),
        (NOT_THIS, NO, NO),
        (NOT_THIS, DOUBT, DOUBT),
        (NOT_THIS, NOT_NOW, NOT_NOW),
        (NOT_NOW, NOT_THIS, NOT_NOW),
        (NOT_THIS, NOT_THIS, NOT_THIS),
    ],
)
async def test_a_provider_that_cannot_take_a_message_leaves_it_to_the_others(
    first: Result, second: Result, told: Result
) -> None:
    one, two = Scripted(first), Scripted(second)
    assert await routed((100, one), (0, two)).send(SMS) == told
    assert (len(one.calls), len(two.calls)) == (1, 1)


async def test_how_long_each_call_took_is_told_by_provider_and_channel() -> None:
    moments = iter([10.0, 10.2, 20.0, 50.0])
    slow = Routed(
        [Provider("one", 100, Scripted(NOT_NOW)), Provider("two", 0, Scripted())],
        Metrics(),
        lambda: 0.0,
        moments.__next__,
    )
    await slow.send(SMS)
    took = slow.metrics.registry.get_sample_value
    of = {name: {"provider": name, "channel": "sms"} for name in ("one", "two")}
    assert took("kvittera_provider_call_seconds_sum", of["one"]) == pytest.approx(0.2)
    assert took("kvittera_provider_call_seconds_sum", of["two"]) == 30
    assert took("kvittera_provider_call_seconds_bucket", {**of["two"], "le": "10.0"}) == 0


async def test_when_all_say_not_now_the_message_waits() -> None:
    assert await routed((50, Scripted(NOT_NOW)), (50, Scripted(NOT_NOW))).send(SMS) == NOT_NOW


async def test_a_message_goes_only_to_providers_of_its_kind() -> None:
    sms, push = Scripted(), Scripted(kinds=frozenset({ChannelKind.PUSH}))
    both = routed((100, sms), (100, push))
    assert both.kinds == {ChannelKind.SMS, ChannelKind.PUSH}
    await both.send(replace(SMS, kind=ChannelKind.PUSH))
    assert (len(sms.calls), len(push.calls)) == (0, 1)
    assert await both.send(replace(SMS, kind=ChannelKind.EMAIL)) == Result(Fate.REFUSED, "no_provider", elsewhere=True)


@pytest.mark.parametrize(
    ("known", "expected"),
    [((YES, None), YES), ((None, YES), YES), ((NOT_NOW, None), None), ((NOT_NOW, DOUBT), None)],
)
async def test_a_message_never_arrived_only_if_every_provider_says_so(
    known: tuple[Result | None, Result | None], expected: Result | None
) -> None:
    assert await routed(*((100, Scripted(known=k)) for k in known)).look_up("ref") == expected
    assert await routed((100, Scripted(known=NOT_NOW)), (100, Scripted(known=NOT_NOW))).look_up("ref") == NOT_NOW


async def test_paid_parts_and_calls_are_counted_by_provider() -> None:
    both = routed((100, Scripted(NOT_NOW)), (0, Scripted()))
    await both.send(replace(SMS, text="å" * 161))
    text = generate_latest(both.metrics.registry).decode()
    assert 'kvittera_sms_segments_total{provider="p1"} 2.0' in text
    assert 'kvittera_provider_calls_total{provider="p0",result="refused_for_now"} 1.0' in text
    assert 'kvittera_sms_segments_total{provider="p0"}' not in text


async def test_all_connections_are_let_go() -> None:
    one, two = Scripted(), Scripted()
    await routed((1, one), (1, two)).close()
    assert one.closed
    assert two.closed


TIMED = """
[[provider]]
name = "elks"
adapter = "46elks"
timeout_seconds = {texts[0]}
user = "u"
sender = "Nordposten"
secret_file = "{secret}"
[[provider]]
name = "elks_two"
adapter = "46elks"
timeout_seconds = {texts[1]}
user = "u"
sender = "Nordposten"
secret_file = "{secret}"
[[provider]]
name = "mail"
adapter = "smtp"
timeout_seconds = {mail}
host = "mail.example"
sender = "svar@nordposten.example"
"""


@pytest.mark.parametrize(
    ("texts", "mail", "wanted", "lease"),
    [
        ((20, 20), 20, 60, 60),
        ((20, 20), 20, 10, 45),
        ((50, 40), 20, 60, 95),  # both text providers, one after the other
        ((20, 20), 45, 60, 95),  # until the content leaves, and for the content
    ],
)
async def test_a_lease_lasts_as_long_as_the_providers_of_a_kind_may_take(
    tmp_path: Path, texts: tuple[int, int], mail: int, wanted: float, lease: float
) -> None:
    secret, path = tmp_path / "secret", tmp_path / "providers.toml"
    secret.write_text("made-up", encoding="utf-8")
    path.write_text(TIMED.format(texts=texts, mail=mail, secret=secret), encoding="utf-8")
    channel = build_providers(read_providers(path), Surroundings(LINKS, "Nordposten"), Metrics())
    assert lease_seconds(wanted, channel) == lease
    await channel.close()


def test_the_lease_of_a_lone_mail_server_lasts_two_of_its_time_outs_and_the_outbox_needs_none() -> None:
    table = smtp_table(Settings(smtp_timeout_seconds=30))
    assert lease_seconds(60, table.build(Surroundings(LINKS, "Nordposten"))) == 65
    assert lease_seconds(10, Scripted()) == 10


FILE = """
[[provider]]
name = "elks"
adapter = "46elks"
weight = 70
user = "u1"
sender = "Nordposten"
secret_file = "{secret}"

[[provider]]
name = "post"
adapter = "smtp"
host = "mail.nordposten.example"
sender = "Nordposten <svar@nordposten.example>"
"""


async def test_a_providers_file_becomes_one_channel(tmp_path: Path) -> None:
    secret = tmp_path / "elks"
    secret.write_text("made-up\n", encoding="utf-8")
    path = tmp_path / "providers.toml"
    path.write_text(FILE.format(secret=secret), encoding="utf-8")
    channel = build_providers(read_providers(path), Surroundings(LINKS, "Nordposten"), Metrics())
    assert [(p.name, p.weight) for p in channel.providers] == [("elks", 70), ("post", 100)]
    assert channel.kinds == {ChannelKind.SMS, ChannelKind.EMAIL}
    await channel.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "provider: Field required"),
        ("[[provider]]\nname = 'a'\nadapter = 'pigeon'", "provider.0"),
        ("[[provider]]\nname = 'a'\nadapter = 'smtp'\nhost = 'h'\nsender = 's'\nweigth = 1", "weigth"),
        ("[[provider]]\nname = 'A b'\nadapter = 'smtp'\nhost = 'h'\nsender = 's'", "provider.0.smtp.name"),
        ("[[provider]]\nname = 'a'\nadapter = 'smtp'\nhost = 'h'\nsender = 's'\n" * 2, "two providers are called a"),
        ("= 1", "line 1"),
    ],
)
def test_a_wrong_providers_file_stops_the_start_by_name_and_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MustStop, match=said) as stop:
        read_providers(path)
    assert str(path) in str(stop.value)


def test_a_missing_secret_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(FILE.format(secret=tmp_path / "absent"), encoding="utf-8")
    with pytest.raises(MustStop, match="provider elks: secret_file"):
        build_providers(read_providers(path), Surroundings(LINKS, "Nordposten"), Metrics())


def test_a_provider_without_the_secret_that_it_needs_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    text = "\n".join(line for line in FILE.splitlines() if "secret" not in line)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MustStop, match="provider elks needs secret_file"):
        build_providers(read_providers(path), Surroundings(LINKS, "Nordposten"), Metrics())


EACH = """
[[provider]]
name = "elks"
adapter = "46elks"
user = "u"
sender = "Nordposten"
secret_file = "{secret}"
[[provider]]
name = "twilio_se"
adapter = "twilio"
account_sid = "AC00000000000000000000000000000000"
sender = "+46701740690"
secret_file = "{secret}"
[[provider]]
name = "whatsapp"
adapter = "whatsapp"
phone_number_id = "1"
template = "t"
languages = {{ sv = "sv" }}
secret_file = "{secret}"
app_secret_file = "{secret}"
[[provider]]
name = "own"
adapter = "gateway"
url = "https://gateway.example/"
fields = {{ to = "to", text = "text", receipt_url = "report_to" }}
secret_file = "{secret}"
[provider.receipts]
statuses = {{ DELIVRD = "delivered" }}
[[provider]]
name = "mail"
adapter = "smtp"
host = "mail.example"
sender = "svar@nordposten.example"
bounces = "studs@nordposten.example"
[[provider]]
name = "app"
adapter = "webhook"
url = "https://app.example/"
secret_file = "{webhook}"
"""


def test_every_provider_that_reports_back_is_known_by_its_name_in_the_file(tmp_path: Path) -> None:
    secret, webhook, path = (tmp_path / name for name in ("secret", "webhook", "providers.toml"))
    secret.write_text("made-up\n")
    webhook.write_text(SECRET)
    path.write_text(EACH.format(secret=secret, webhook=webhook), encoding="utf-8")
    channel = build_providers(read_providers(path), Surroundings(LINKS, "Nordposten"), Metrics())
    assert sorted(reporting(channel, "smtp")) == ["elks", "mail", "own", "twilio_se", "whatsapp"]
    [mail] = [p.channel for p in channel.providers if p.name == "mail"]
    assert list(reporting(mail, "smtp")) == ["smtp"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://169.254.169.254/", "address_not_public"),
        ("https://[::ffff:127.0.0.1]/", "address_not_public"),
        ("https://[::1]/", "address_not_public"),
        ("https://[64:ff9b::7f00:1]/", "address_not_public"),
        ("https://[2002:7f00:1::]/", "address_not_public"),
        ("https://0x7f.1/", "address_not_public"),
        ("https://2130706433/", "address_not_public"),
        ("https://10.1.2.3/", "address_not_public"),
        ("https://100.64.0.1/", "address_not_public"),
        ("https://224.0.0.1/", "address_not_public"),
        ("https://0.0.0.0/", "address_not_public"),
        ("https://ok@127.0.0.1/", "address_userinfo"),
        ("https://127.0.0.1:25/", "address_port"),
        ("http://127.0.0.1/", "address_scheme"),
        ("file:///etc/passwd", "address_scheme"),
        ("https://", "address_scheme"),
        ("https://[::1", "address_unreadable"),
        ("", "address_scheme"),
    ],
)
async def test_an_address_that_leads_inside_is_never_called(url: str, reason: str) -> None:
    with pytest.raises(UnsafeAddressError, match=f"^{reason}$"):
        await Doorman(by_system).pinned(url)


async def test_a_name_that_leads_inside_is_never_called() -> None:
    with pytest.raises(UnsafeAddressError, match="address_not_public"):
        await Doorman(loopback).pinned("https://localhost./")


async def test_the_number_that_was_judged_is_the_one_that_is_called() -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    async def flips(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(0)
        return next(answers)

    url, pinned = await Doorman(flips).pinned("https://app.example/hook?x=1")
    assert url == "https://93.184.216.34/hook?x=1"
    assert pinned == {"headers": {"Host": "app.example"}, "server_hostname": "app.example"}


async def test_a_public_number_does_not_vouch_for_a_private_one_beside_it() -> None:
    async def both(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(0)
        return ["93.184.216.34", "127.0.0.1"]

    with pytest.raises(UnsafeAddressError):
        await Doorman(both).pinned("https://app.example/")
