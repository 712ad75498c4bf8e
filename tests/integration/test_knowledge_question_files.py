"""Questions as a file: what is written is taken again, by whole files only, and no cell is a formula."""

import csv
import io
import json

import pytest

from gptagent.features.audit import service as audit
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.questions import exchange, service
from gptagent.features.knowledge.questions.model import QUESTIONS_MAX
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.paging import Page
from readers import texts

TEXT = "Long enough a text."
ODD = "=1+1 и где?"
BENCH = "/knowledge-bench"


async def write(session, *titles):
    return [
        (await knowledge.create_article(session, NewArticle(title, TEXT), now=utcnow())).id
        for title in titles
    ]


async def take(session, text):
    data = text if isinstance(text, bytes) else text.encode()
    return await exchange.import_questions(session, data, now=utcnow())


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_what_is_exported_is_imported_again_with_its_sources(form, database, scope, other_scope):
    """KB-28: by title in another workspace, by id where two have the same one"""
    async with database.session(scope) as session:
        one, two, twin, _other = await write(session, "Доставка", "-Оплата", "Twin", "twin")
        for text, sources in ((ODD, [one, two]), ("Кто звонит?", []), ("Which twin?", [twin])):
            await service.save_question(session, text, sources, now=utcnow())
        saved = await service.list_questions(session)
        data = await exchange.export_questions(session, form)
        done = await take(session, data)
        assert (done.created, done.changed) == (0, 3)
        assert [(q.text, q.sources) for q in await service.list_questions(session)] == [
            (q.text, q.sources) for q in saved
        ]
        assert "questions.exported" in [entry.action for entry in await audit.list_entries(session)]
    if form == "csv":
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
        assert (rows[1][0], rows[1][2]) == ("'" + ODD, "")
        assert set(rows[1][1].split("\n")) == {"Доставка", "-Оплата"}
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    async with database.session(other_scope) as session:
        await write(session, "доставка", "-Оплата")
        with pytest.raises(Invalid) as refused:
            await take(session, data)
        assert [fault.message for fault in refused.value.fields] == ["There is no article “{name}”."]
        kept = [row for row in json.loads(data) if row["text"] != "Which twin?"] if form == "json" else None
        if kept is not None:
            assert (await take(session, json.dumps(kept))).created == 2
            second, first = await service.list_questions(session)
            assert (second.text, first.text, len(first.sources)) == ("Кто звонит?", ODD, 2)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("text,articles\r\nКогда?,Нет такой\r\n,\r\nкогда?,\r\n", {"2/articles", "4/text"}),
        ("text\r\n" + "x" * 501 + "\r\n", {"2/text"}),
        ('[{"text": "A?"}, {"text": 1}, {"title": "B"}]', {"2", "3"}),
        ('[{"text": "A\\u0000?"}]', {"1"}),
        ("question\r\nКогда?\r\n", {"file"}),
        ("[]", {"file"}),
        ("{", {"file"}),
        ("text\r\n" + "".join(f"{n}?\r\n" for n in range(QUESTIONS_MAX + 1)), {"file"}),
        ("text,documents\r\nКогда?,Twin\r\n", {"2/documents"}),
        ("text,articles\r\nКогда?,T1,,\r\nГде, и почём?,T1\r\n", {"3"}),
        ("text,articles\r\nКогда?,Twin\r\n", {"2/articles"}),
        ('text,articles\r\nКогда?,"' + "\n".join(f"T{n}" for n in range(11)) + '"\r\n', {"2/articles"}),
    ],
)  # fmt: skip
async def test_a_file_with_a_fault_is_not_taken_at_all_and_each_fault_is_named(text, faults, database, scope):
    async with database.session(scope) as session:
        await write(session, "Twin", "twin", *(f"T{n}" for n in range(11)))
        with pytest.raises(Invalid) as refused:
            await take(session, text)
        assert {fault.pointer.strip("/") for fault in refused.value.fields} == faults
        assert await service.list_questions(session) == []


@pytest.mark.parametrize("text", ["text\r\nКогда?\r\nГде?\r\n", '[{"text": "когда?"}, {"text": "Где?"}]'])
async def test_a_file_that_says_nothing_of_sources_leaves_them_as_they_are(text, database, scope):
    """KB-28"""
    async with database.session(scope) as session:
        (one,) = await write(session, "Доставка")
        await service.save_question(session, "Когда?", [one], now=utcnow())
        done = await take(session, text)
        assert (done.created, done.changed) == (1, 0)
        saved = {q.text: [s.id for s in q.sources] for q in await service.list_questions(session)}
        assert saved == {"Когда?": [one], "Где?": []}
        assert (await take(session, "text,articles\r\nКогда?,\r\n")).changed == 1
        assert not any(q.sources for q in await service.list_questions(session))


async def test_there_is_room_for_so_many_and_lists_come_in_pages(database, scope):
    """API-9"""
    async with database.session(scope) as session:
        rows = [{"text": f"{n}?"} for n in range(QUESTIONS_MAX)]
        assert (await take(session, json.dumps(rows))).created == QUESTIONS_MAX
        order = service.ORDERS["-created_at"]
        first, after = await service.page_questions(session, Page(order, 200))
        second, end = await service.page_questions(session, Page.read(order, 300, after))
        assert (len({one.text for one in (*first, *second)}), end) == (QUESTIONS_MAX, None)
        run_id = await service.queue_run(session, now=utcnow())
        (run,), end = await service.page_runs(session, Page(order, 1))
        assert (run.id, end) == (run_id, None)
    with pytest.raises(Conflict):
        async with database.session(scope) as session:
            await take(session, "text\r\nOne more?\r\n")
    async with database.session(scope) as session:
        assert len(await service.list_questions(session)) == QUESTIONS_MAX


async def test_a_file_is_taken_on_the_page_and_expected_sources_are_changed_there(
    alice, dora, database, scope
):
    """KB-28: wrong lines named in a table; sources found by the question and by a part of their title"""
    async with database.session(scope) as session:
        delivery, payment = await write(session, "Delivery to Kazan", "Payment")
    for reader, status in ((alice, 200), (dora, 403)):
        assert (await reader.open(f"{BENCH}/import")).status_code == status
        assert (await reader.open(f"{BENCH}/export?format=csv")).status_code == status
    wrong = {"file": ("q.csv", b"text,articles\r\nWhen?,Nowhere\r\n")}
    page = await alice.send(f"{BENCH}/import", files=wrong)
    assert page.status_code == 422 and "There is no article “Nowhere”." in page.text
    right = {"file": ("q.csv", b"text,articles\r\nIs there delivery to Kazan?,Payment\r\n")}
    page = await alice.follow(await alice.send(f"{BENCH}/import", files=right))
    assert "Questions saved from the file: 1, changed: 0" in texts(page)
    async with database.session(scope) as session:
        (question,) = await service.list_questions(session)
    path = f"{BENCH}/questions/{question.id}"
    page = await alice.open(path)
    assert "Payment" in page.text and "Delivery to Kazan" in page.text, "expected, and found by the question"
    assert "Unknown" not in page.text and (await alice.open(f"{path}?find=Paym")).status_code == 200
    for sources, status in (([str(payment), "nonsense"], 422), ([str(delivery)], 303)):
        assert (await alice.send(f"{path}/sources", {"sources": sources})).status_code == status
    assert (await dora.send(f"{path}/sources", {"sources": []})).status_code == 403
    assert "Payment" not in (await dora.open(path)).text
    async with database.session(scope) as session:
        changed = await service.get_question(session, question.id)
    assert [one.id for one in changed.sources] == [delivery]
