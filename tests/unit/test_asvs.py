"""The page of ASVS answers every requirement it must, and claims nothing that no test shows."""

import re

import pytest

from asvs import ANSWERS, PAGE, ROOT, headings, named_in, read, wanted, with_summary

TEXT = PAGE.read_text()
ROWS = read(TEXT)


def test_exactly_the_requirements_that_must_be_are_answered_in_order():
    assert [row.id for row in ROWS] == list(wanted())
    assert {row.id: row.level for row in ROWS} == wanted()
    assert len(wanted()) > 250


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_an_answer_rests_on_tests_that_exist_or_on_a_reason(row):
    assert row.answer in ANSWERS and row.asks
    missing = [
        f"{file}::{name}"
        for file, name in row.tests
        if not (ROOT / file).exists() or name not in named_in(file)
    ]
    assert missing == []
    if row.answer == "shown":
        assert row.tests, "what no test shows is open"
    else:
        assert len(row.rests_on) >= 10, "say why, or what is missing"


def test_every_row_stands_below_its_chapter():
    chapters = re.split(r"^## (V\d+) .*$", TEXT, flags=re.MULTILINE)[1:]
    for chapter, part in zip(chapters[::2], chapters[1::2], strict=True):
        rows = read(part)
        assert rows and {row.chapter for row in rows} == {chapter}
    assert set(headings(TEXT)) == {row.chapter for row in ROWS}


def test_the_summary_is_counted():
    assert with_summary(TEXT) == TEXT, "run python tests/asvs.py"
