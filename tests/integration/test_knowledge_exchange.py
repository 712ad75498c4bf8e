"""Articles as a file: what is written is taken again, by whole files only, and no cell is a formula."""

import csv
import io
import json

import pytest

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.articles.model import ArticleFilter
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.exchange import service
from gptagent.features.knowledge.exchange.files import ROWS_MAX, Row, read_file, write_piece
from gptagent.features.knowledge.model import NewArticle
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Invalid

TEXT = "Long enough a text."
ODD = "=1+1"


async def read(database, scope, form):
    return b"".join([piece async for piece in await service.export_articles(database, scope, form)])


async def take(session, text):
    data = text if isinstance(text, bytes) else text.encode()
    return await service.import_articles(session, data, now=utcnow())


def faults(refused):
    return sorted(fault.pointer for fault in refused.value.fields)


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_what_is_exported_is_imported_again_with_its_categories(form, database, scope, other_scope):
    """U152"""
    async with database.session(scope) as session:
        top = await categories.create_category(session, NewCategory("Товары / цены"), now=utcnow())
        below = NewCategory("Кухни", parent_id=top.id)
        below = await categories.create_category(session, below, now=utcnow())
        written = NewArticle(
            ODD,
            "# Доставка\n\n'Кавычки', \"и\"; запятая",
            is_active=False,
            description="'=уже с кавычкой",
            tags=("цены", "-скидки"),
            categories=(top.id, below.id),
        )
        await knowledge.create_article(session, written, now=utcnow())
        for number in range(service.EXPORT_ROWS):  # more than one piece
            await knowledge.create_article(session, NewArticle(f"T{number}", TEXT), now=utcnow())
    data = await read(database, scope, form)
    async with database.session(other_scope) as session:
        assert await take(session, data) == service.EXPORT_ROWS + 1
        (found,), _total = await knowledge.find_articles(session, ArticleFilter(ODD))
        article = await knowledge.get_article(session, found.id)
        tree = await categories.read_tree(session)
    assert (article.title, article.content, article.description) == (
        written.title,
        written.content,
        written.description,
    )
    assert article.tags == written.tags and not article.is_active
    paths = {tuple(one.title for one in tree.path(place)) for place in article.categories}
    assert paths == {("Товары / цены",), ("Товары / цены", "Кухни")}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r", "'=", "''@"])
def test_no_cell_is_a_formula_and_each_comes_back_as_it_was(start):
    row = Row(f"{start}HYPERLINK()", f"{start}1 and more", f"{start}x", tags=(f"{start.strip()}tag",))
    text = write_piece([row], "csv", is_first=True)
    cells = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))[1]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert read_file(text.encode()) == [(2, row)]


def test_a_spreadsheets_file_is_read_in_its_letters_and_with_its_delimiter():
    text = "title;content;is_active\r\nЦена;Доставка стоит 350 рублей.;нет\r\n"
    expected = [(2, Row("Цена", "Доставка стоит 350 рублей.", is_active=False))]
    for encoding in ("utf-8", "utf-8-sig", "windows-1251", "utf-16"):
        assert read_file(text.encode(encoding)) == expected
    assert write_piece([], "csv", is_first=True).startswith("\ufeff")


async def test_each_wrong_line_is_named_and_nothing_is_taken(database, scope):
    """U152"""
    text = (
        "title,content,is_active,categories\n"
        'Right,"Two lines\nof a text.",yes,New\n'
        ",short,,\n"
        f"T,{TEXT},,1 / 2 / 3 / 4 / 5 / 6\n"
    )
    with pytest.raises(Invalid) as refused:
        async with database.session(scope) as session:
            await take(session, text)
    assert faults(refused) == ["4/content", "4/title", "5/parent_id"]
    with pytest.raises(Invalid) as refused:
        read_file(f"title,content,is_active\nT,{TEXT},perhaps\n".encode())
    assert faults(refused) == ["2/is_active"]
    async with database.session(scope) as session:
        assert await knowledge.find_articles(session, ArticleFilter()) == ([], 0)
        assert not (await categories.read_tree(session)).by_id


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("", "file"),
        ("title,text\nA,B\n", "file"),
        ("title,content\n", "file"),
        ("[", "file"),
        ('{"title": "T"}', "file"),
        ("[" * 100_000, "file"),
        ('[{"title": "T"}]', "1"),
        ('[{"title": "T", "content": "Long enough.", "org_id": "x"}]', "1"),
        ('[{"title": "T", "content": "Long enough.", "is_active": "yes"}]', "1"),
        ('[{"title": "T\\u0000", "content": "Long enough."}]', "1"),
        (f"title,content,is_active\nT,{TEXT}, and more, yes\n", "2"),
        ('title,content\n"' + "x" * 200_000, "file"),
        (json.dumps([{"title": "T", "content": TEXT}] * (ROWS_MAX + 1)), "file"),
    ],
)
def test_what_is_no_file_of_articles_is_refused(text, pointer):
    with pytest.raises(Invalid) as refused:
        read_file(text.encode())
    assert faults(refused) == [pointer]


async def test_the_page_takes_a_file_or_names_its_lines(alice, dora):
    """U152"""
    path = "/knowledge-items/import"
    wrong = await alice.send(path, {}, files={"file": ("a.csv", b"title,content\nT,short\n")})
    assert wrong.status_code == 422
    assert 'data-label="Line" class="num">2<' in wrong.text
    assert "Write at least 10 characters." in wrong.text
    assert (await alice.send(path, {})).status_code == 422
    right = await alice.send(path, {}, files={"file": ("a.csv", f"title,content\nT,{TEXT}\n".encode())})
    assert "Articles taken from the file: 1" in (await alice.follow(right)).text
    for form, kind in (("csv", "text/csv"), ("json", "application/json")):
        file = await alice.open(f"/knowledge-items/export?format={form}")
        assert file.headers["content-type"].startswith(kind) and TEXT in file.text
    assert (await dora.open("/knowledge-items/export")).status_code == 403
    assert (await dora.send(path, {})).status_code == 403
