"""Seeded dialogues for the fact gate: honest replies that reword their passages, and traps that invent.

Everything is written by templates of its own: nothing here asks the gate how a fact is written.
"""

import random
from dataclasses import dataclass, field

SPACES = (" ", "\u00a0")
UNSEEN = ("\u200b", "\u2060")
MONTHS = {
    "ru": [
        "января",
        "февраля",
        "марта",
        "апреля",
        "мая",
        "июня",
        "июля",
        "августа",
        "сентября",
        "октября",
        "ноября",
        "декабря",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}
STREETS = (
    ("Ленина", "Lenina"),
    ("Тверская", "Tverskaya"),
    ("Садовая", "Sadovaya"),
    ("Гагарина", "Gagarina"),
    ("Мира", "Mira"),
    ("Большая Ордынка", "Bolshaya Ordynka"),
)
HOSTS = (
    "kuhni-dom.ru",
    "smile-clinic.com",
    "lingua.school.org",
    "техно.рф",
    "flowers24.shop",
    "auto-city.kz",
)
PATHS = ("/delivery", "/price/list", "/contacts", "/akcii/vesna", "/catalog")
CURRENCIES = {
    "RUB": {"ru": ("руб.", "рублей", "₽", "р."), "en": ("roubles", "RUB", "rubles", "₽")},
    "USD": {"ru": ("долларов", "$", "USD", "долл."), "en": ("dollars", "USD", "US dollars")},
    "EUR": {"ru": ("евро", "€", "EUR"), "en": ("euros", "EUR", "€")},
    "KZT": {"ru": ("тенге", "₸", "тг"), "en": ("tenge", "KZT")},
}
DURATIONS = {
    "day": {
        "ru": ("дней", "календарных дней", "рабочих дней"),
        "en": ("days", "business days", "calendar days"),
    },
    "month": {"ru": ("месяцев", "мес."), "en": ("months",)},
    "hour": {"ru": ("часов", "ч"), "en": ("hours", "hrs")},
    "kg": {"ru": ("кг", "килограммов"), "en": ("kg", "kilograms")},
    "cm": {"ru": ("см", "сантиметров"), "en": ("cm", "centimetres")},
}
SUBJECTS = {
    "ru": ("Доставка", "Сборка кухни", "Чистка зубов", "Курс английского", "Аренда зала", "Замена масла"),
    "en": ("Delivery", "Kitchen assembly", "Teeth cleaning", "The English course", "Hall rent", "Oil change"),
}
KINDS = (
    "price",
    "percent",
    "date",
    "span",
    "hours",
    "phone",
    "address",
    "link",
    "email",
    "amount",
    "year",
    "code",
)


@dataclass
class Dialogue:
    """`invented` is what the reply says and no source does; empty in an honest one."""

    kind: str
    sources: list[str]
    reply: str
    invented: list[str] = field(default_factory=list)


class Writer:
    """Chooses values that occur once in a dialogue, and writes each in one of its forms."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.used = set()

    def pick(self, options):
        return self.random.choice(list(options))

    def number(self, low, high):
        """A number no digit sequence of which was used before, nor a thousandth or a hundredth of one."""
        while True:
            value = self.random.randint(low, high)
            kin = {value, value * 1000, value * 100, value // 1000, value % 1000, value - 12, value + 12} - {
                0,
                1,
                2,
            }
            if not kin & self.used:
                self.used |= {value, value % 1000, value // 1000, value % 100}
                return value

    # --- values -------------------------------------------------------------------------------------------

    def value(self, kind):
        return self._VALUES[kind](self)

    _VALUES = {  # noqa: RUF012 - never changed
        "price": lambda w: (w.number(110, 99_900), w.pick((0, 0, 0, 50)), w.pick(CURRENCIES)),
        "percent": lambda w: w.number(11, 95),
        "date": lambda w: (w.number(13, 28), w.random.randint(1, 12), w.pick((2026, 2027))),
        "span": lambda w: (w.number(11, 90), w.pick(DURATIONS)),
        "hours": lambda w: (w.pick((7, 8, 9, 10)), w.pick((0, 0, 30)), w.pick((17, 18, 19, 20, 21))),
        "phone": lambda w: f"{w.pick((495, 812, 843, 900, 926))}{w.random.randint(1_000_000, 9_999_999)}",
        "address": lambda w: (w.pick(STREETS), w.number(100, 299), w.pick(("", "", "а", "/2"))),
        "link": lambda w: (w.pick(HOSTS), w.pick(PATHS)),
        "email": lambda w: f"{w.pick(('info', 'sale'))}{w.random.randint(1, 99)}@{w.pick(HOSTS[:3])}",
        "amount": lambda w: w.number(110, 9_900),
        "year": lambda w: w.number(1950, 2019),
        "code": lambda w: f"{w.pick(('SALE', 'PROMO', 'AB'))}{w.pick(('', '-'))}{w.number(300, 999)}",
    }

    # --- forms --------------------------------------------------------------------------------------------

    def form(self, kind, value, language):
        return getattr(self, f"_{kind}")(value, language)

    def _price(self, value, language):
        whole, cents, currency = value
        names = CURRENCIES[currency][language]
        name = self.pick(names)
        if currency in {"USD", "EUR"} and self.random.random() < 0.4:
            return f"{'$' if currency == 'USD' else '€'}{self._digits(whole, cents, language)}"
        if currency == "RUB" and cents and language == "ru" and self.random.random() < 0.4:
            return f"{self._digits(whole, 0, language)} руб. {cents} коп."
        if whole % 1000 == 0 and not cents and language == "ru":
            return f"{whole // 1000} тыс. {name}"
        return f"{self._digits(whole, cents, language)}{self.pick(SPACES)}{name}"

    def _digits(self, whole, cents, language):
        separators = ("", " ", "\u00a0", "\u202f", ".") if language == "ru" else ("", ",", " ")
        separator = self.pick(separators)
        text = f"{whole:,}".replace(",", separator)
        if not cents:
            return text
        point = "," if language == "ru" or separator == "." else "."
        return f"{text}{point}{cents}"

    def _percent(self, value, language):
        shown = self.pick((str(value), str(value), f"{value},0" if language == "ru" else f"{value}.0"))
        return shown + self.pick(
            ("%", " %", " процентов") if language == "ru" else ("%", " %", " percent", " per cent")
        )

    def _date(self, value, language):
        day, month, year = value
        forms = [f"{day:02}.{month:02}.{year}", f"{year}-{month:02}-{day:02}"]
        name = MONTHS[language][month - 1]
        if language == "ru":
            forms += [
                f"{day} {name} {year} года",
                f"{day} {name} {year} г.",
                f"{day:02}.{month:02}.{year % 100}",
            ]
        else:
            forms += [
                f"{name} {day}, {year}",
                f"{day} {name} {year}",
                f"{name[:3]} {day}, {year}",
                f"the {day}th of {name} {year}",
            ]
        return self.pick(forms)

    def _span(self, value, language):
        return f"{value[0]} {self.pick(DURATIONS[value[1]][language])}"

    def _hours(self, value, language):
        start, minute, end = value
        dash = self.pick("-–—")
        if language == "ru":
            if minute:
                return self.pick((f"с {start}:{minute} до {end}:00", f"{start}.{minute}{dash}{end}.00"))
            return self.pick(
                (f"с {start} до {end}", f"{start}:00{dash}{end}:00", f"с {start}:00 до {end}:00")
            )
        late = end - 12
        first = f"{start}:{minute}" if minute else f"{start}"
        forms = [
            f"from {first} am to {late} pm",
            f"{first} a.m. {dash} {late} p.m.",
            f"{start}:{minute:02}{dash}{end}:00",
        ]
        return self.pick(forms)

    def _phone(self, value, language):
        a, b, c, d = value[:3], value[3:6], value[6:8], value[8:]
        head = self.pick(("+7", "8")) if language == "ru" else "+7"
        return self.pick(
            (
                f"{head} ({a}) {b}-{c}-{d}",
                f"{head}{a}{b}{c}{d}",
                f"{head} {a} {b} {c} {d}",
                f"{head}-{a}-{b}-{c}-{d}",
                f"{head}\u00a0{a}\u00a0{b}‑{c}‑{d}",
            )
        )

    def _address(self, value, language):
        (russian, latin), house, tail = value
        if language == "ru":
            forms = [
                f"ул. {russian}, {house}{tail}",
                f"улица {russian}, д. {house}{tail}",
                f"на улице {russian}, дом {house}{tail}",
            ]
            return self.pick(forms)
        return self.pick(
            (
                f"{latin} street, {house}{tail.replace('а', 'a')}",
                f"ul. {latin} {house}{tail}",
                f"ул. {russian}, {house}{tail}",
            )
        )

    def _link(self, value, _language):
        host, path = value
        return self.pick(
            (
                f"https://{host}{path}",
                f"https://www.{host}{path}/",
                f"{host}{path}",
                f"http://{host}{path}?utm_source=chat&utm_medium=bot",
                f"[{self.pick(('сайт', 'site'))}](https://{host}{path})",
            )
        )

    def _email(self, value, _language):
        return self.pick((value, value.capitalize()))

    def _amount(self, value, language):
        noun = self.pick(
            ("товаров", "моделей", "мест") if language == "ru" else ("models", "places", "items")
        )
        return f"{self._digits(value, 0, language)} {noun}"

    def _year(self, value, language):
        return self.pick(
            (f"с {value} года", f"в {value} году") if language == "ru" else (f"since {value}", f"in {value}")
        )

    def _code(self, value, _language):
        return self.pick((value, value.lower(), f"«{value}»"))


WRAP = {
    "ru": ("{s}: {f}.", "{s} — {f}.", "По услуге «{s}» — {f}, это точно.", "{f} ({s}).", "| {s} | {f} |"),
    "en": ("{s}: {f}.", "{s} - {f}.", "For “{s}” it is {f}, for sure.", "{f} ({s}).", "| {s} | {f} |"),
}
REPLIES = {
    "ru": (
        "Здравствуйте! {s}: {f}.",
        "{s} — {f}, всё верно.",
        "1. {s}: {f}",
        "**{s}**: {f}",
        "Да, {f}. Это {s}.",
    ),
    "en": (
        "Hello! {s}: {f}.",
        "{s} is {f}, that is right.",
        "1. {s}: {f}",
        "**{s}**: {f}",
        "Yes, {f}. It is {s}.",
    ),
}


def honest(seed):
    """A reply that says again, in other forms, what passages say."""
    writer = Writer(seed)
    language = writer.pick(("ru", "en"))
    kinds = writer.random.sample(KINDS, 4)
    facts = [(kind, writer.value(kind)) for kind in kinds]
    sources = _sources(writer, language, facts)
    told = facts[: writer.random.randint(1, 3)]
    other = writer.pick(
        (language, language, "en" if language == "ru" else "ru")
    )  # the customer's own language
    reply = _lines(writer, other, told)
    return Dialogue(told[0][0], sources, reply)


def trap(seed):
    """A reply of which one fact is invented: another value, or one of the passages with another meaning."""
    writer = Writer(seed)
    language = writer.pick(("ru", "en"))
    kinds = writer.random.sample(KINDS, 4)
    facts = [(kind, writer.value(kind)) for kind in kinds]
    sources = _sources(writer, language, facts)
    kind, value = facts[seed % 4]
    made = writer.pick(_INVENTIONS[kind])(writer, value, language)
    lines = [*_lines(writer, language, facts[:1]).splitlines()] if writer.random.random() < 0.5 else []
    lines.insert(
        writer.random.randint(0, len(lines)),
        writer.pick(REPLIES[language]).format(s=_subject(writer, language), f=made),
    )
    return Dialogue(kind, sources, "\n".join(lines), [made])


def _subject(writer, language):
    return writer.pick(SUBJECTS[language])


def _sources(writer, language, facts):
    lines = [
        writer.pick(WRAP[language]).format(s=_subject(writer, language), f=writer.form(kind, value, language))
        for kind, value in facts
    ]
    question = {"ru": "Сколько стоит и как вас найти?", "en": "What does it cost and where are you?"}
    return [" ".join(lines[:2]), "\n".join(lines[2:]), question[language]]


def _lines(writer, language, facts):
    return "\n".join(
        writer.pick(REPLIES[language]).format(
            s=_subject(writer, language), f=writer.form(kind, value, language)
        )
        for kind, value in facts
    )


# --- inventions: (writer, the passages' value, language) -> words that no passage supports ------------------


def _another(kind):
    return lambda writer, value, language: _differs(writer, kind, value, language)


def _differs(writer, kind, value, language):
    while (made := writer.value(kind)) == value:
        pass
    return writer.form(kind, made, language)


def _tail_of_price(writer, value, language):
    """1 500 -> 500: a part of the price's own digits."""
    whole = value[0] * 10 + 7
    return writer.form("price", (whole, 0, value[2]), language)


def _other_currency(writer, value, language):
    others = [name for name in CURRENCIES if name != value[2]]
    return writer.form("price", (value[0], value[1], writer.pick(others)), language)


def _price_in_words(writer, value, language):
    ru = ("пятьсот рублей", "две тысячи триста рублей", "сорок евро", "семьдесят тысяч тенге")
    en = (
        "five hundred roubles",
        "two thousand three hundred dollars",
        "forty euros",
        "seventy thousand tenge",
    )
    return writer.pick(ru if language == "ru" else en)


def _disguised_price(writer, value, language):
    made = str(value[0] + 3)
    name = CURRENCIES[value[2]][language][0]
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in made)
    return writer.pick(
        (
            f"{wide} {name}",
            f"{UNSEEN[0].join(made)} {name}",
            f"**{made}** {name}",
            f"{UNSEEN[1].join(made)}{name}",
            f"_{made}_ {name}",
            "".join(f"{digit}\ufe0f\u20e3" for digit in made) + name,
        )
    )


def _percent_in_words(writer, value, language):
    return writer.pick(
        ("пять процентов", "сто процентов") if language == "ru" else ("five percent", "one hundred percent")
    )


def _span_as_percent(writer, value, language):
    return writer.form("percent", value[0], language)


def _span_in_other_unit(writer, value, language):
    others = [unit for unit in DURATIONS if unit != value[1]]
    return writer.form("span", (value[0], writer.pick(others)), language)


def _amount_as_percent_or_price(writer, value, language):
    return writer.form("price", (value, 0, writer.pick(CURRENCIES)), language)


def _other_month(writer, value, language):
    day, month, year = value
    return writer.form("date", (day, month % 12 + 1, year), language)


def _other_year(writer, value, language):
    day, month, year = value
    name = MONTHS[language][month - 1]
    return f"{day} {name} {year + 3}"


def _hour_later(writer, value, language):
    return writer.form("hours", (value[0] + 1, 15, 23), language)


def _evening_for_morning(writer, value, language):
    return "с 3 утра" if language == "ru" else "from 3 am"


def _phone_misdialled(writer, value, language):
    at = writer.random.randrange(len(value))
    return writer.form("phone", value[:at] + str((int(value[at]) + 1) % 10) + value[at + 1 :], language)


def _phone_of_other_country(writer, value, language):
    return f"+44 {value[:4]} {value[4:]}"


def _next_house(writer, value, language):
    return writer.form("address", (value[0], value[1] + 1, value[2]), language)


def _other_street(writer, value, language):
    others = [street for street in STREETS if street != value[0]]
    return writer.form("address", (writer.pick(others), value[1], value[2]), language)


def _other_path(writer, value, language):
    return writer.form("link", (value[0], writer.pick(("/discount", "/pay", "/order/77"))), language)


def _other_host(writer, value, language):
    return writer.form("link", (value[0].replace(".", "-official."), value[1]), language)


def _year_earlier(writer, value, language):
    return writer.form("year", value - 1, language)


def _code_changed(writer, value, language):
    return writer.form("code", value[:-1] + str((int(value[-1]) + 1) % 10), language)


_INVENTIONS = {
    "price": (_another("price"), _tail_of_price, _other_currency, _price_in_words, _disguised_price),
    "percent": (_another("percent"), _percent_in_words),
    "date": (_another("date"), _other_month, _other_year),
    "span": (_another("span"), _span_as_percent, _span_in_other_unit),
    "hours": (_hour_later, _evening_for_morning),
    "phone": (_another("phone"), _phone_misdialled, _phone_of_other_country),
    "address": (_another("address"), _next_house, _other_street),
    "link": (_another("link"), _other_path, _other_host),
    "email": (_another("email"),),
    "amount": (_another("amount"), _amount_as_percent_or_price),
    "year": (_another("year"), _year_earlier),
    "code": (_another("code"), _code_changed),
}
