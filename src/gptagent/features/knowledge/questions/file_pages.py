"""Saved questions taken from a file, and the file that holds them all."""

from starlette.responses import Response

from gptagent.features.knowledge.exchange.api import as_file
from gptagent.features.knowledge.exchange.pages import FilePages
from gptagent.features.knowledge.exchange.rows import FileFormat
from gptagent.features.knowledge.questions import exchange
from gptagent.features.knowledge.questions.files import COLUMNS
from gptagent.features.knowledge.questions.model import QUESTIONS_MAX
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages


class QuestionFilePages(FilePages):
    """Its addresses lie beside those of one question, so it comes before them."""

    def __init__(self, db: Database, pages: Pages) -> None:
        super().__init__(
            db, pages, "knowledge-bench", "knowledge/import_questions.html", COLUMNS, QUESTIONS_MAX
        )

    async def written(self, scope: Scope, form: FileFormat) -> Response:
        async with self.db.session(scope) as session:
            return as_file(await exchange.export_questions(session, form), "questions", form)

    async def taken(self, scope: Scope, data: bytes) -> Notice:
        async with self.db.session(scope) as session:
            done = await exchange.import_questions(session, data, now=utcnow())
        return Notice(
            "success",
            "Questions saved from the file: {created}, changed: {changed}",
            params={"created": str(done.created), "changed": str(done.changed)},
        )
