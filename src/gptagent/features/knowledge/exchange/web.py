"""Articles taken from a file, and the file that holds them all."""

from starlette.responses import Response

from gptagent.features.knowledge.exchange import service
from gptagent.features.knowledge.exchange.api import as_file
from gptagent.features.knowledge.exchange.files import COLUMNS, ROWS_MAX
from gptagent.features.knowledge.exchange.pages import FilePages
from gptagent.features.knowledge.exchange.rows import FileFormat
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages


class ExchangePages(FilePages):
    def __init__(self, db: Database, pages: Pages) -> None:
        super().__init__(db, pages, "knowledge-items", "knowledge/import.html", COLUMNS, ROWS_MAX)

    async def written(self, scope: Scope, form: FileFormat) -> Response:
        return as_file(await service.export_articles(self.db, scope, form), "articles", form)

    async def taken(self, scope: Scope, data: bytes) -> Notice:
        async with self.db.session(scope) as session:
            count = await service.import_articles(session, data, now=utcnow())
        return Notice("success", "Articles taken from the file: {count}", params={"count": str(count)})
