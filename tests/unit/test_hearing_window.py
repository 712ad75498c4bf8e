"""How long a message is waited behind."""

import importlib.util
from datetime import timedelta
from pathlib import Path

import pytest

from gptagent.features.dialog.hearing.window import FINISHED_PART, part, silence

ROOT = Path(__file__).resolve().parents[2]
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
WITHOUT_A_MARK = ("my order has not arrived yet", "Хочу заказать две штуки на завтра")
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
    assert [text for text in (*WHOLE, *WITHOUT_A_MARK) if part(text) != FINISHED_PART] == []
    assert [text for text in OPEN if part(text) != 1] == []


@pytest.mark.parametrize("delay", [timedelta(0), timedelta(seconds=5), timedelta(hours=1)])
def test_the_delay_is_the_longest_silence_of_all(delay):
    """AGT-20: rulings, response delay. A delay of 0 waits for nothing; a file is not the end of the words."""
    waits = {silence(delay, text, has_file=False) for text in (*WHOLE, *WITHOUT_A_MARK, *OPEN)}
    assert waits == {delay, delay * FINISHED_PART}
    assert {silence(delay, text, has_file=True) for text in WHOLE} == {delay}


def simulated():
    """The benchmark, which lets customers write in bursts and listens by the rule, without a clock."""
    spec = importlib.util.spec_from_file_location("bursts", ROOT / "benchmarks" / "bursts.py")
    assert spec is not None and spec.loader is not None
    bursts = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bursts)
    return bursts


def test_in_pauses_of_up_to_15_seconds_no_burst_is_torn_and_the_wait_is_shorter():
    """AGT-20"""
    found = simulated().measured("even", 2_000)
    assert found["fixed"] == (30.0, 0)
    assert found["adaptive"][0] <= 22.5 and found["adaptive"][1] == 0


@pytest.mark.parametrize("pauses", ["tailed", "paced"])
def test_in_long_tailed_pauses_a_shorter_wait_tears_few_more_bursts(pauses):
    """AGT-20: 40 of 1,000 at most; none more is not to be had, for who pauses for between the two is torn"""
    found = simulated().measured(pauses, 10_000)
    (fixed, torn), (waited, more) = found["fixed"], found["adaptive"]
    assert waited <= 22.5 < fixed
    assert torn < more <= torn + 40
