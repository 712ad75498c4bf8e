"""The price list: what is shipped for OpenAI's own address, and the operator's file."""

from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from gptagent.features.inference.model import Price, PriceList
from gptagent.kernel.errors import Misconfigured

# The shipped prices are this provider's: the same name costs something else elsewhere, or nothing.
SHIPPED_FOR = "api.openai.com"

_Dollars = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class _Price(msgspec.Struct, forbid_unknown_fields=True):
    input: _Dollars
    output: _Dollars
    cached_input: _Dollars | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """`source` and `date` say where the prices are from; nothing is computed of them."""

    usd_per_million_tokens: dict[str, _Price] = {}
    usd_per_minute: dict[str, _Dollars] = {}
    usd_per_thousand_searches: dict[str, _Dollars] = {}
    source: str = ""
    date: str = ""


def load_prices(base_url: str, path: Path | None) -> PriceList:
    """Return the prices at an endpoint; those of the operator's file take the place of the shipped ones.

    Raises Misconfigured if the file cannot be read.
    """
    lists: list[_File] = []
    if urlsplit(base_url).hostname == SHIPPED_FOR:
        lists.append(_read((files("gptagent.features.inference") / "prices.json").read_bytes()))
    if path is not None:
        try:
            lists.append(_read(path.read_bytes()))
        except (OSError, msgspec.DecodeError) as error:
            raise Misconfigured(
                "prices_unreadable",
                "LLM_PRICES_FILE is no price list: {reason}",
                params={"reason": str(error)},
            ) from error
    return PriceList(
        {name: _price(price) for one in lists for name, price in one.usd_per_million_tokens.items()},
        {name: Decimal(str(price)) for one in lists for name, price in one.usd_per_minute.items()},
        {name: Decimal(str(price)) for one in lists for name, price in one.usd_per_thousand_searches.items()},
    )


def _read(text: bytes) -> _File:
    return msgspec.json.decode(text, type=_File)


def _price(one: _Price) -> Price:
    cached = None if one.cached_input is None else Decimal(str(one.cached_input))
    return Price(Decimal(str(one.input)), Decimal(str(one.output)), cached)
