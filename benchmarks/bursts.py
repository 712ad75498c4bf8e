"""How long customers who write in bursts wait, and how often a burst is torn. Nothing runs but the rule.

`python benchmarks/bursts.py [--count N]`. A burst has one to six messages of one person, in English or
Russian, with marks and capitals or, as half of all people write, without. Pauses are drawn evenly from 0.2 to
15 s (`even`), and, harder, from a distribution with a long tail whose median is 5 s (`tailed`), or so that
all pauses together are about as long, but each customer has a pace of their own (`paced`).
"""

import argparse
import random
import statistics
from collections.abc import Callable
from datetime import timedelta

from gptagent.features.dialog.hearing.window import silence
from gptagent.features.dialog.model import BURST_CAP_FACTOR, BURST_MIN_CAP

SEED = 20261127
DELAY = timedelta(seconds=30)
OPENINGS = ("Hello", "Good morning", "Hi there", "Здравствуйте", "Добрый день", "Привет")
PARTS = (
    "I ordered a lamp last week",
    "the red one",
    "and two of the small ones",
    "it has not arrived yet",
    "How long does delivery take?",
    "can I still change the address?",
    "My order number is 4711",
    "Do you ship to Portugal?",
    "thanks",
    "What does it cost together?",
    "Мне нужна доставка в Казань",
    "красный цвет",
    "и ещё две маленькие",
    "Сколько это будет стоить?",
    "можно оплатить при получении?",
    "Заказ номер 4711",
    "до сих пор не пришёл",
    "Спасибо",
    "Когда вы привезёте?",
    "если можно то завтра после обеда потому что утром меня не будет дома и никто не сможет открыть курьеру",
)
Pause = Callable[[random.Random], float]


def paced(rng: random.Random) -> Pause:
    pace = rng.lognormvariate(1.61, 0.7)
    return lambda rng: max(0.2, pace * rng.lognormvariate(0, 0.57))


# How long one customer pauses, each time.
PAUSES: dict[str, Callable[[random.Random], Pause]] = {
    "even": lambda _rng: lambda rng: rng.uniform(0.2, 15.0),
    "tailed": lambda _rng: lambda rng: max(0.2, rng.lognormvariate(1.61, 0.9)),
    "paced": paced,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate customers who write in bursts.")
    parser.add_argument("--count", type=int, default=20_000)
    count = parser.parse_args().count
    for name in PAUSES:
        for rule, (waited, torn) in measured(name, count).items():
            print(f"burst_wait_p50_s {name}_{rule} {waited:.1f}", flush=True)
            print(f"burst_splits_per_1000 {name}_{rule} {torn:.1f}")


def measured(name: str, count: int) -> dict[str, tuple[float, float]]:
    """Return the median wait and how many of 1,000 bursts are torn, by either rule."""
    rng = random.Random(SEED)  # the same bursts each time
    bursts = [burst(rng, PAUSES[name](rng)) for _ in range(count)]
    found = {}
    for rule, wait in (("fixed", lambda _text: DELAY), ("adaptive", _adaptive)):
        ended = [listen(one, wait) for one in bursts]
        waited = statistics.median(seconds for seconds, _ in ended)
        found[rule] = (waited, sum(torn for _, torn in ended) * 1000 / count)
    return found


def burst(rng: random.Random, pause: Pause) -> list[tuple[float, str]]:
    """Return messages with the second each comes at."""
    texts = [rng.choice(PARTS) for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.5:
        texts[0] = rng.choice(OPENINGS)
    is_careful = rng.random() < 0.5
    at, said = 0.0, []
    for text in texts:
        said.append((at, _careful(text, rng) if is_careful else text.lower().rstrip(".")))
        at += pause(rng)
    return said


def _careful(text: str, rng: random.Random) -> str:
    text = text[0].upper() + text[1:]
    return text if text.endswith("?") else text + rng.choice((".", ".", "!", ",", "", "..."))


def _adaptive(text: str) -> timedelta:
    return silence(DELAY, text, has_file=False)


def listen(said: list[tuple[float, str]], wait: Callable[[str], timedelta]) -> tuple[float, int]:
    """Return how long the customer waited after the last message, and how often the burst was torn."""
    cap = max(BURST_MIN_CAP, BURST_CAP_FACTOR * DELAY).total_seconds()
    began, splits, due = said[0][0], 0, 0.0
    for at, text in said:
        if at > due > 0:
            splits, began = splits + 1, at
        due = min(at + wait(text).total_seconds(), began + cap)
    return max(due - said[-1][0], 0.0), splits


if __name__ == "__main__":
    main()
