"""How long a message is waited behind."""

from datetime import timedelta

import pytest

from gptagent.features.dialog.hearing.window import LIKELY_PART, WHOLE_PART, part, silence

WHOLE = (
    "How much is it?",
    "Price?",
    "Сколько стоит?)",
    "Do you deliver to Spain? 🙏",
    "I would like to order two of them.",
    "Хочу заказать доставку на завтра!",
    "Спасибо большое за помощь :)",
    "He said “yes to all.”",
    "配送はいつですか？",
    "我想知道运费是多少。",
    "so i ordered it last week and the box came open and half of what was in it is missing as you see here",
    "сколько стоит доставка",
    "can i still change the address",
)
LIKELY = ("my order has not arrived yet", "Хочу заказать две штуки на завтра")
OPEN = (
    "",
    "👍",
    "...",
    "Hello!",
    "Hello?",
    "Добрый день.",
    "Привет всем!",
    "Good morning",
    "ok.",
    "Yes please.",
    "and for two people.",
    "I have a question",
    "Смотрите,",
    "I want the red one, the big one and",
    "Подскажите пожалуйста...",
    "My address is:",
    "I ordered it last week -",
    "Мне нужно узнать про доставку в Казань и ещё про то, как можно вернуть товар если он не подойдёт или",
)


def test_what_is_plainly_whole_waits_less_and_anything_else_the_whole_delay():
    """AGT-20"""
    assert [text for text in WHOLE if part(text) != WHOLE_PART] == []
    assert [text for text in LIKELY if part(text) != LIKELY_PART] == []
    assert [text for text in OPEN if part(text) != 1] == []


@pytest.mark.parametrize("delay", [timedelta(0), timedelta(seconds=5), timedelta(hours=1)])
def test_the_delay_is_the_longest_silence_of_all(delay):
    """AGT-20: rulings, response delay. A delay of 0 waits for nothing; a file is not the end of the words."""
    waits = {silence(delay, text, has_file=False) for text in (*WHOLE, *LIKELY, *OPEN)}
    assert waits == {delay, delay * LIKELY_PART, delay * WHOLE_PART}
    assert {silence(delay, text, has_file=True) for text in WHOLE} == {delay}
