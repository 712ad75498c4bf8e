"""Which words of a customer ask for a person: what is taken for it silences the agent."""

import pytest

from gptagent.features.dialog.handing.model import asks_for_person

ASKS = (
    "Позовите, пожалуйста, менеджера",
    "Хочу поговорить с человеком",
    "Соедините с оператором",
    "Оператор!",
    "живой человек есть?",
    "Переключите меня на специалиста",
    "Сколько стоит?\nИ позовите человека",
    "Мне нужен человек, а не бот",
    "Can I talk to a human?",
    "I want to speak with a real person",
    "operator please",
    "Please connect me to an operator",
    "I need a human",
    "get me your manager",
    f"I  need \t a human{' ' * 50},{' ' * 50}please",
    "Hello!\n\n  - operator!  \n\nThanks",
)
SPEAKS_OF_PEOPLE = (
    "Не надо звать менеджера, просто скажите цену",
    "Стол на 6 человек сколько стоит?",
    "Нужен стол на 4 человека",
    "Хочу тур на двух человек",
    "нужна квартира для семьи из трёх человек",
    "Хочу записать двух сотрудников на курс",
    "У вас работают менеджеры в выходные?",
    "Вы бот?",
    "I don't want to talk to a manager, just tell me the price",
    "Do you sell operator manuals?",
    "I need a table for one person",
    "I want a manager training course",
    "no need to call a manager",
    f"I need a human{' ' * 3_900}resources handbook",  # not a message that holds up a worker, either
    f"Speak to{' ' * 3_900}nobody",
    f"Hello{chr(10) * 3_900}there",
)


@pytest.mark.parametrize("text", ASKS)
def test_whoever_asks_for_a_person_is_understood(text):
    assert asks_for_person(text)


@pytest.mark.parametrize("text", SPEAKS_OF_PEOPLE)
def test_whoever_speaks_of_people_goes_on_with_the_agent(text):
    assert not asks_for_person(text)
