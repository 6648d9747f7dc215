"""The comment search put together, for the survey's composition root."""

from dataclasses import dataclass

from starlette.routing import BaseRoute

from services.survey.comments.http import CommentRoutes
from services.survey.comments.index import IndexComments
from services.survey.comments.languages import Languages
from services.survey.comments.page import CommentsPage
from services.survey.comments.search import CommentSearch
from services.survey.comments.texts import Texts
from services.survey.followup import Reaction
from services.survey.shared import Shared


@dataclass(frozen=True, slots=True)
class CommentParts:
    """What the survey service runs for comments."""

    reaction: Reaction
    routes: list[BaseRoute]


def comment_parts(shared: Shared, texts: Texts, languages: Languages) -> CommentParts:
    """Put the search together."""
    routes = CommentRoutes(CommentSearch(shared.pool, texts), shared.gate, CommentsPage()).routes()
    return CommentParts(IndexComments(texts, languages), [*routes])
