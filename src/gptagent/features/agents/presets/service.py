"""The templates in a reader's language: a file each in texts/."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from gptagent.features.agents.presets.model import PRESETS, Preset, PresetKey


@cache
def list_presets(locale: str) -> Mapping[PresetKey, Preset]:
    """Return the templates by their keys, in the order in which they are offered."""
    folder = files(__package__) / "texts" / locale
    found = ((key, (folder / f"{key}.toml").read_text(encoding="utf-8")) for key in PRESETS)
    return {key: msgspec.convert(tomllib.loads(text), Preset) for key, text in found}
