"""The fact gate by itself: what is a fact, what is the same fact, and that no invention passes."""

from collections import Counter

import pytest

from fact_dialogues import KINDS, honest, trap
from gptagent.features.knowledge.grounding.gate import facts_of, unsourced

DIALOGUES = 500


def test_none_of_500_traps_gets_through():
    traps = [trap(seed) for seed in range(DIALOGUES)]
    through = [one for one in traps if not unsourced(one.reply, one.sources)]
    unseen = [one for one in traps if not unsourced(one.invented[0], one.sources)]
    assert (through, unseen) == ([], [])
    assert min(Counter(one.kind for one in traps)[kind] for kind in KINDS) >= 20


def test_of_500_honest_rewordings_fewer_than_ten_are_blocked():
    """Below two per cent."""
    replies = [honest(seed) for seed in range(DIALOGUES)]
    blocked = [(one.reply, found) for one in replies if (found := unsourced(one.reply, one.sources))]
    assert len(blocked) < DIALOGUES * 0.02, blocked
    assert sum(1 for one in replies if one.reply not in "\n".join(one.sources)) > DIALOGUES * 0.9


SAME = [
    ("Доставка стоит 1 500 руб.", "Delivery: 1,500 roubles"),
    ("1500 ₽", "1.500 рублей"),
    ("1 500,50 р.", "1500 руб. 50 коп."),
    ("10 тыс. рублей", "10 000 ₽"),
    ("от 5 до 10 тыс. рублей", "5 000–10 000 ₽"),
    ("1,5 млн руб.", "1 500 000 рублей"),
    ("Цена, руб.: 490", "490 ₽"),
    ("Цена 490 Срок 2", "490 рублей"),
    ("$20", "20 долларов"),
    ("скидка 15 процентов", "15%"),
    ("12 марта 2026 года", "March 12, 2026"),
    ("12.03.2026", "2026-03-12"),
    ("до 12 марта", "12.03"),
    ("с 10 по 15 марта", "10 марта и 15 марта"),
    ("Основаны 01.02.2004", "с 2004 года"),
    ("12 марта. Сезон 2026.", "12 марта 2026"),
    ("с 9 до 18", "9:00-18:00"),
    ("from 9 to 6", "9 am till 6 pm"),
    ("9.00–21.00", "до 9 вечера"),
    ("открыты с 10:00", "в 10 часов"),
    ("8 (800) 555-35-35", "+7 800 555 35 35"),
    ("+7 495 123-45-67", "123-45-67"),
    ("123-45-67, код 495", "123-45-67"),
    ("(495) 123-45-67", "+7 (495) 123 45 67"),
    ("г. Москва, Тверская, 5, стр. 1", "ул. Тверская, 5"),
    ("Невский проспект, д. 28", "на Невском проспекте, 28"),
    ("ул. Ленина, 12/3", "Lenina street, 12/3"),
    ("https://www.Shop.ru/delivery/?utm_source=a", "shop.ru/delivery"),
    ("shop.ru/item?id=7&utm_medium=b", "https://shop.ru/item?id=7"),
    ("https://shop.ru/delivery", "наш сайт shop.ru"),
    ("Telegram: @shop_bot", "https://t.me/shop_bot"),
    ("INFO@shop.ru", "info@shop.ru"),
    ("в течение двух дней", "2 дня"),
    ("within three hours", "3 hours"),
    ("14 календарных дней", "14-дневный срок"),
    ("размер 60х90 см", "60 × 90 см"),
    ("iPhone 15, промокод SALE-20", "iPhone 15 и sale20"),
    ("Площадь 50 кв. м", "50 м²"),
]
NOT_THE_SAME = [
    ("490 руб.", "490 $"),
    ("1 500 руб.", "500 руб."),
    ("1 500 руб.", "150 руб."),
    ("скидка 10 % на 3 товара", "скидка 3 %"),
    ("14 дней", "14 часов"),
    ("14 дней", "14 %"),
    ("5 мастеров", "5 рублей"),
    ("12 марта", "12 апреля"),
    ("12 марта", "12 марта 2027"),
    ("9:00–18:00", "до 19:00"),
    ("до 9 утра", "до 9 вечера"),
    ("Тверская, 5. Ленина, 7", "ул. Тверская, 9"),
    ("ул. Тверская, 5", "ул. Садовая, 5"),
    ("+7 495 123-45-67", "+7 495 123-45-68"),
    ("123-45-67", "+7 495 123-45-67"),
    ("+7 495 123-45-67", "+44 495 123-45-67"),
    ("shop.ru/delivery", "shop.ru/pay"),
    ("shop.ru", "shop.com"),
    ("info@shop.ru", "sale@shop.ru"),
    ("info@shop.ru", "shop.ru"),
    ("@shop_bot", "@shop_b0t"),
    ("SALE20", "SALE25"),
    ("490 руб. 5 товаров", "5 руб."),
    ("два товара", "двадцать процентов"),
    ("nothing", "five hundred roubles"),
    ("скидка десять", "４９０ руб."),
    ("nothing", "4\u200b90 ₽"),
    ("nothing", "4\ufe0f\u20e39\ufe0f\u20e30\ufe0f\u20e3₽"),
    ("nothing", "**4**90 ₽"),
    ("nothing", "٤٩٠ ₽"),
    ("nothing", "Скидка:\n15."),
]


@pytest.mark.parametrize(("source", "reply"), SAME)
def test_the_same_fact_in_another_form_has_its_source(source, reply):
    assert unsourced(reply, [source]) == []


@pytest.mark.parametrize(("source", "reply"), NOT_THE_SAME)
def test_another_fact_has_none(source, reply):
    assert unsourced(reply, [source]) != []


@pytest.mark.parametrize(
    "text",
    [
        "1. Выберите товар.\n2. Оплатите.\n3) Получите.",
        "Шаг 1: позвоните.\n**2.** Приходите.",
        "1️⃣ Choose\n2️⃣ Pay",
        "Two things, один мастер, пара дней.",
        "На 3-м этаже: the 2nd door, 1-й вход, о 4-ом.",
        "На 3-й линии - во-первых.",
        "Мы открыты каждый день, звоните!",
    ],
)
def test_markers_ordinals_and_small_number_words_are_no_facts(text):
    assert list(facts_of(text)) == []


def test_each_fact_is_named_once_as_the_reply_words_it():
    reply = "Стоит 700 руб., да, 700 руб. Звоните 8-800-555-35-35, скидка 10 %."
    assert unsourced(reply, ["Скидка 10 %."]) == ["8-800-555-35-35", "700 руб."]


def test_sums_are_not_derived_and_sources_are_not_mixed():
    assert unsourced("Вместе 1000 руб.", ["Чистка 400 руб.", "Осмотр 600 руб."]) == ["1000 руб."]
    assert unsourced("12 марта 2027", ["12 марта 2026", "Каталог 2027"]) == ["12 марта 2027"]
    assert unsourced("anything", []) == []
