"""Sections to fragments."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gptagent.features.knowledge.chunking import FRAGMENT_CHARS, Section, cut
from gptagent.features.knowledge.parsing.pdf import unwrap
from gptagent.features.knowledge.parsing.plain import read_markdown

SENTENCE = "Доставка по всей стране занимает от трёх до пяти рабочих дней. "


def test_a_long_text_is_cut_with_overlap():
    """KB-14"""
    text = "".join(f"Пункт {n}. {SENTENCE}" for n in range(60)).strip()
    found = [fragment.content for fragment in cut([Section(0, "", text)])]
    assert max(map(len, found)) <= FRAGMENT_CHARS
    assert all(one[-20:] in two for one, two in pairwise(found))
    assert found[0][:8] == "Пункт 0." and found[-1].endswith("дней.")


def test_a_fragment_never_crosses_a_heading_and_keeps_its_path():
    found = list(cut(read_markdown("intro text\n# A\none\n## B\ntwo\n# C\nthree")))
    assert [(f.heading, f.content) for f in found] == [
        ("", "intro text"),
        ("A", "one"),
        ("A › B", "two"),
        ("C", "three"),
    ]


def test_a_heading_with_nothing_under_it_is_kept_as_text():
    found = list(cut(read_markdown("# Список\n## Первое\n## Второе\nтекст")))
    assert [(f.heading, f.content) for f in found] == [
        ("Список › Первое", "Первое"),
        ("Список › Второе", "текст"),
    ]


def test_tables_and_code_of_markdown_become_lines():
    source = "| Город | Цена |\n|---|---|\n| Казань | 350 |\n\n```\nкод\n```\n<b>тег</b>"
    (found,) = cut(read_markdown(source))
    assert found.content.split("\n") == ["Город: Казань; Цена: 350", "код", "", "<b>тег</b>"]


def test_lines_of_a_page_are_joined_and_divided_words_mended():
    page = "Мы доставляем за\r\nказы каждый день и всегда вовре\ufffe\r\nмя.\r\nЗаголовок\r\nКоротко."
    assert unwrap(page) == "Мы доставляем за казы каждый день и всегда вовремя.\nЗаголовок\nКоротко."


@given(st.text(max_size=3_000))
def test_any_text_is_cut_without_loss_of_words(text):
    found = " ".join(fragment.content for fragment in cut([Section(0, "", text)]))
    assert {word for word in text.split() if len(word) < 50} <= set(found.split())
