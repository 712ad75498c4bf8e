"""What of a reply is a promise that somebody must keep, and what only looks like one."""

import pytest

from gptagent.features.dialog.acting.promises import due_in, is_promise, promises_in, unmarked, without


@pytest.mark.parametrize(
    "sentence",
    [
        "Я вам перезвоню.",
        "Мы перезвоним вам завтра в 10.30.",
        "Наш менеджер свяжется с вами в течение часа.",
        "Специалист нашего отдела скоро вам перезвонит.",
        "С вами обязательно свяжутся.",
        "Вам сегодня же перезвонят!",
        "Сейчас уточню у коллег и вернусь с ответом.",
        "Отправлю прайс на почту.",
        "Пришлём договор через 20 минут.",
        "Если товара нет на складе, мы вам сообщим.",
        "Как только узнаю, напишу.",
        "Дадим вам знать.",
        "Передам ваш вопрос коллегам.",
        "Спрошу у коллег.",
        "I will ask my colleagues.",
        "I will call you back.",
        "We'll send you the contract tomorrow.",
        "I’ll check with the warehouse and get back to you.",
        "Our manager will gladly contact you within two hours.",
        "One of my colleagues will call you.",
        "You will be contacted today.",
        "We are going to email the invoice.",
        "If it is not in stock, we will let you know.",
    ],
)
def test_what_somebody_has_to_keep_is_a_promise(sentence):
    assert is_promise(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Перезвонить вам?",
        "Мы перезвоним вам вечером, удобно?",
        "Вы можете позвонить нам по телефону.",
        "Если оставите номер, мы перезвоним.",
        "Если нужно, пришлём образцы.",
        "Как только вы оплатите, мы отправим заказ.",
        "После оплаты мы отправим заказ.",
        "Мы не перезвоним раньше понедельника.",
        "К сожалению, мы не сможем вам позвонить.",
        "Вчера мы вам звонили и писали.",
        "Мы отправляем заказы каждый день.",
        "Курьер позвонит за час до доставки.",
        "Вы написали «я перезвоню завтра».",
        "Давайте уточним размер.",
        "Позвоните нам, когда будет удобно.",
        "Доставим за два дня.",
        "Shall I call you?",
        "You can call us any time.",
        "Please call us back.",
        "If you leave your number, we will call you.",
        "Once you pay, we will send the goods.",
        "After payment we will send the goods.",
        "We will not call you.",
        "We'll never send you advertising.",
        "Let's check the size.",
        "We sent it yesterday.",
        "We send orders every day.",
        "The courier will call an hour before.",
        'You wrote: "I will call you back".',
        "I will gladly help.",
        "We will deliver it in two days.",
    ],
)
def test_what_nobody_has_promised_is_none(sentence):
    assert not is_promise(sentence)


@pytest.mark.parametrize(
    ("sentence", "minutes"),
    [
        ("Перезвоню через 20 минут.", 20),
        ("Перезвоню через час.", 60),
        ("Ответим в течение 2 дней.", 2880),
        ("Пришлём через пару часов.", 120),
        ("Позвоним завтра.", 1440),
        ("Позвоним послезавтра.", 2880),
        ("We'll call within an hour.", 60),
        ("We'll call in 3 days.", 4320),
        ("I'll write next week.", 10080),
        ("I'll call today.", 240),
        ("I will call you.", 60),
        ("Перезвоню через 1 минуту.", 15),
    ],
)
def test_when_it_is_due_is_what_it_says(sentence, minutes):
    assert due_in(sentence) == minutes


def test_what_stands_in_the_knowledge_base_word_for_word_is_a_quotation():
    text = "Мы пришлём трек-номер в день отправки. Я перезвоню вам."
    known = ["Отправка. Мы пришлём трек номер в день отправки!"]
    assert [one.text for one in promises_in(text, known=known)] == ["Я перезвоню вам."]


def test_the_models_own_mark_counts_and_leaves_the_text():
    text, marked = unmarked("Costs 490.50 roubles. I shall see to it. [PROMISE] Bye! [promise]")
    assert text == "Costs 490.50 roubles. I shall see to it. Bye!"
    assert marked == ("I shall see to it.", "Bye!")
    found = promises_in(text, marked=marked[:1])
    assert [one.text for one in found] == ["I shall see to it."]
    assert without(text, found) == "Costs 490.50 roubles. Bye!"
    assert unmarked("Nothing here.") == ("Nothing here.", ())


def test_a_promise_is_taken_out_and_the_rest_stands_as_it_was():
    text = "Delivery costs 490 roubles.\n\n- two days\n\nI will call you back. Good bye."
    assert without(text, promises_in(text)) == "Delivery costs 490 roubles.\n\n- two days\n\nGood bye."
