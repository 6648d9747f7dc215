"""What was withheld, sent and answered has its line and its step: trace and outcome, and nothing of a person."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from structlog.testing import capture_logs

from services.chassis.message_lines import MessageLines
from services.chassis.postgres import Pool, named_sql
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.chassis.traces import Traces
from services.notifier.planned import new_token
from services.survey.answers.handlers import LearnInvitations
from services.survey.answers.responses import token_hash
from tests.builders import NOON, decided
from tests.sending import ACCEPTED, REFUSED_FOR_NOW, ScriptedChannel, dispatcher, now, plan, work
from tests.survey_app import post, survey

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STEP = f"00-{TRACE}-00f067aa0ba902b7-01"


def of(lines: list[Any], kind: str) -> list[dict[str, Any]]:
    """The lines of a kind, without how long it took, which differs."""
    found = [dict(line) for line in lines if line["event"] == kind]
    assert all(0 <= line.pop("ms") < 60_000 for line in found)
    return found


@pytest.mark.service("notifier")
async def test_each_call_has_its_line_with_how_it_went(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    await pool.execute("UPDATE invitation SET traceparent = $1", STEP)
    d = dispatcher(pool, settings, ScriptedChannel([REFUSED_FOR_NOW, ACCEPTED]), lines=MessageLines(50))
    with capture_logs() as lines:
        await work(d)
        await work(d)
    plain = {"event": "sent", "log_level": "info", "trace_id": TRACE, "delivery_id": "D-0", "kind": "ask"}
    assert of(lines, "sent") == [
        {**plain, "channel": "email", "result": "refused_for_now", "reason": "smtp_451", "attempt": 1},
        {**plain, "channel": "email", "result": "accepted", "attempt": 2},
    ]
    assert "canary" not in str(lines)


@pytest.mark.service("notifier")
async def test_what_is_withheld_has_its_line_with_the_reason(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    await pool.execute("UPDATE invitation SET occurred_at = $1, traceparent = $2", now() - timedelta(days=9), STEP)
    with capture_logs() as lines:
        await work(dispatcher(pool, settings, ScriptedChannel(), lines=MessageLines(50)))
    [line] = of(lines, "withheld")
    assert (line["trace_id"], line["delivery_id"], line["kind"], line["channel"], line["reason"]) == (
        TRACE,
        "D-0",
        "ask",
        "email",
        "too_old",
    )


@pytest.mark.service("notifier")
async def test_a_call_to_a_provider_is_a_step_of_the_deliverys_trace(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    await pool.execute("UPDATE invitation SET traceparent = $1", STEP)
    kept = InMemorySpanExporter()
    traces = Traces("notifier", kept)
    await work(dispatcher(pool, settings, ScriptedChannel(), traces=traces))
    traces.close()
    [span] = kept.get_finished_spans()
    assert (span.name, span.kind, under(span)) == ("notifier: send", SpanKind.CLIENT, STEP)
    assert span.attributes == {"kvittera.channel": "email", "kvittera.result": "accepted", "kvittera.attempt": 1}


def under(span: ReadableSpan) -> str:
    """The trace context that a span hangs on."""
    assert span.parent is not None
    return f"00-{span.context.trace_id:032x}-{span.parent.span_id:016x}-01"


async def learn(pool: Pool) -> str:
    """Let the survey learn of a traced invitation; returns its token."""
    token = new_token()
    message = decided(
        invitation_id="018f2f6e-1b3a-7c4d-8e5f-0123456789ab",
        token_sha256=token_hash(token).hex(),
        expires_at=now() + timedelta(days=1),
    )
    async with pool.acquire() as connection, connection.transaction():
        await LearnInvitations(named_sql("services.survey"))(connection, [Received(message, STEP, NOON)])
    return token


@pytest.mark.service("survey")
async def test_each_answer_has_its_line_and_none_holds_the_token_or_the_comment(pool: Pool, settings: Settings) -> None:
    token = await learn(pool)
    app = survey(pool, settings)
    app.answers.lines = MessageLines(50)
    key = ("idempotency-key", "once")
    with capture_logs() as lines:
        await post(app, token, ("score", "4"), as_json=True, headers=[key])
        await post(app, token, ("score", "4"), as_json=True, headers=[key])
        await post(app, token, ("score", "5"), ("part", "details"), ("comment", "en hemlighet"))
        await post(app, token, ("score", "1"), as_json=True, headers=[("if-match", '"1"')])
        await pool.execute("UPDATE invitation SET expires_at = clock_timestamp() - interval '1 s'")
        await post(app, token, ("score", "2"))
        await post(app, new_token(), ("score", "3"))
        await asyncio.sleep(0.01)  # lines come after the replies
    found = of(lines, "answered")
    assert {(line["delivery_id"], line["channel"]) for line in found} == {("D-1", "web")}
    assert [(line["result"], line["kept"], line.get("revision"), line.get("trace_id")) for line in found] == [
        ("kept", True, 1, TRACE),
        ("kept", True, 1, TRACE),
        ("kept", True, 2, TRACE),
        ("stale", False, 2, None),
        ("locked", False, None, TRACE),
    ]
    assert token not in str(lines)
    assert "hemlighet" not in str(lines)


@pytest.mark.service("survey")
async def test_a_recipients_post_is_a_step_of_the_deliverys_trace_under_the_name_of_its_route(
    pool: Pool, settings: Settings
) -> None:
    token, kept = await learn(pool), InMemorySpanExporter()
    app = survey(pool, settings)
    app.answers.traces = Traces("survey", kept)
    await post(app, token, ("score", "4"))
    await post(app, token, ("score", "1"), as_json=True, headers=[("if-match", '"7"')])
    await post(app, new_token(), ("score", "3"))
    app.answers.traces.close()
    [span] = kept.get_finished_spans()
    assert (span.name, span.kind, under(span)) == ("survey: POST /r/{token}", SpanKind.SERVER, STEP)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/r/{token}",
        "kvittera.result": "kept",
    }
