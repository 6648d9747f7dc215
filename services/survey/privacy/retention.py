"""How long the survey keeps what can be read about persons."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from services.chassis.months import MonthlyTable, Months
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Database
from services.chassis.retention import Retention, Rule
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.survey.answers.masks_kept import MasksKept

_LONGEST_MONTH = 31


def retention(settings: Settings) -> Retention:
    """The survey's rules. Scores and facts of what was answered stay: they are kept under random ids."""
    comments, contacts = timedelta(days=settings.comment_keep_days), timedelta(days=settings.contact_keep_days)
    return Retention(
        "survey",
        (
            Rule("comments", comments),
            Rule("contact_wishes", contacts, first=partial(_keep_masks, settings)),
            Rule("case_words", comments),
            Rule("outcomes", contacts),
            Rule("outcome_messages", timedelta(days=settings.message_keep_days)),
            Rule("dead_links", timedelta(days=_LONGEST_MONTH * settings.dead_link_keep_months), walks=True),
        ),
    )


async def _keep_masks(settings: Settings, connection: Database, responses: Sequence[uuid.UUID]) -> None:
    if responses:
        await MasksKept(PersonKeys(Seal.of(settings))).keep(connection, responses)


def months(settings: Settings) -> Months:
    """The survey's tables that go by whole months."""
    return Months("survey", (MonthlyTable("contact_view", timedelta(days=settings.contact_view_keep_days)),))
