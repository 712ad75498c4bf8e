"""What the model says: scripted rules first, else an extract of the prompt's passages, else an echo."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import cast

import msgspec
from PIL import Image

from gptagent.sandbox.llm.schema import example
from gptagent.sandbox.wire import Json

PASSAGE = re.compile(
    r"<(passage|source|chunk|document|fragment|article|context|knowledge)\b[^>]*>(.*?)</\1>",
    re.DOTALL | re.IGNORECASE,
)
NUMBERED = re.compile(r"^\s*\[\d+\]\s*(.+)$", re.MULTILINE)
SENTENCE = re.compile(r"(?s)(.+?[.!?…])(?:\s|$)")
WORDS = re.compile(r"\x00([^\x00-\x08\x0e-\x1f]+)")
TAG = re.compile(r"<[^>]+>")


class ToolCall(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, object] = msgspec.field(default_factory=dict)


class Rule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Applies where `match` is found in the last user message, and `system` and `model` where they are given.

    It says `reply`, `json` or calls `tools`; `after_tools` is said once the tools have answered.
    """

    match: str = ""
    system: str = ""
    model: str = ""
    reply: str | None = None
    json: object = None
    tools: list[ToolCall] = msgspec.field(default_factory=list)
    after_tools: str | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        for pattern in (self.match, self.system, self.model):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern}: {error}") from error


@dataclass(frozen=True, slots=True)
class Prompt:
    """The parts of a request that decide the answer."""

    model: str
    system: str
    user: str
    tool_results: tuple[str, ...]
    everything: str
    body: Json

    @classmethod
    def of(cls, body: Json) -> "Prompt":
        messages = cast("list[Json]", body.get("messages") or [])
        texts = [(str(message.get("role")), text_of(message)) for message in messages]
        last_user = max((i for i, (role, _) in enumerate(texts) if role == "user"), default=-1)
        return cls(
            model=str(body.get("model", "")),
            system="\n".join(text for role, text in texts if role in {"system", "developer"}),
            user=texts[last_user][1] if last_user >= 0 else "",
            tool_results=tuple(text for role, text in texts[last_user + 1 :] if role == "tool"),
            everything="\n".join(text for _, text in texts),
            body=body,
        )


@dataclass(frozen=True, slots=True)
class Speech:
    text: str = ""
    tools: tuple[ToolCall, ...] = ()


def text_of(message: Mapping[str, object]) -> str:
    """Return a message's text, whether it is a string or a list of parts.

    What is "on" a picture is the text that the shades of its dots spell behind a black one.
    """
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(_part(part) for part in parts if isinstance(part, dict))


def _part(part: Json) -> str:
    if part.get("type") != "image_url":
        return str(part.get("text", ""))
    url = str(cast("Json", part.get("image_url") or {}).get("url", ""))
    try:
        content = base64.b64decode(url.partition(";base64,")[2], validate=True)
    except ValueError:
        return ""
    return f" <picture>{hidden_words(_drawn(content))}</picture>"


def _drawn(content: bytes) -> bytes:
    """Return the shades of a picture's dots in order, where its words are; of what is none, its bytes."""
    try:
        with Image.open(BytesIO(content), formats=("PNG",)) as picture:
            return picture.convert("L").tobytes()
    except (OSError, SyntaxError, ValueError):
        return content


def hidden_words(content: bytes) -> str:
    """Return the text that a fake recording or picture holds behind its header."""
    found = WORDS.search(content.decode("utf-8", errors="ignore"))
    return " ".join(found[1].split()) if found else ""


def speak(rules: list[Rule], prompt: Prompt) -> Speech:
    """Return what the first fitting rule says; a rule with a count is used up."""
    for rule in rules:
        if _fits(rule, prompt):
            if rule.count is not None:
                rule.count -= 1
                if rule.count <= 0:
                    rules.remove(rule)
            return _say(rule, prompt)
    return _unscripted(prompt)


def _fits(rule: Rule, prompt: Prompt) -> bool:
    wanted = ((rule.match, prompt.user), (rule.system, prompt.system), (rule.model, prompt.model))
    return all(re.search(pattern, text, re.IGNORECASE) for pattern, text in wanted)


def _say(rule: Rule, prompt: Prompt) -> Speech:
    if rule.tools and not prompt.tool_results:
        return Speech(rule.reply or "", tuple(rule.tools))
    if rule.tools:
        return _shaped(prompt, rule.after_tools or rule.reply or "\n".join(prompt.tool_results))
    if rule.json is not None:
        return _shaped(prompt, msgspec.json.encode(rule.json).decode(), structured=rule.json)
    return _shaped(prompt, rule.reply or "")


def _unscripted(prompt: Prompt) -> Speech:
    if prompt.tool_results:
        return _shaped(prompt, "\n".join(prompt.tool_results))
    sentences = list(_first_sentences(prompt.everything))
    return _shaped(prompt, sentences[0] if sentences else f"Echo: {prompt.user}")


def _first_sentences(text: str) -> Iterator[str]:
    found = [match.group(2) for match in PASSAGE.finditer(text)] or NUMBERED.findall(text)
    for passage in found:
        plain = " ".join(TAG.sub(" ", passage).split())
        sentence = SENTENCE.match(plain)
        if plain:
            yield sentence.group(1) if sentence else plain


def _shaped(prompt: Prompt, text: str, structured: object = None) -> Speech:
    """Bring a text into the form the request demands: a forced tool call, a JSON schema, or as it is."""
    forced = _forced_tool(prompt.body)
    if forced is not None:
        arguments = structured if isinstance(structured, dict) else example(forced.get("parameters"), text)
        return Speech(tools=(ToolCall(str(forced["name"]), cast("Json", arguments)),))
    demanded = prompt.body.get("response_format")
    if structured is None and isinstance(demanded, dict) and demanded.get("type") == "json_schema":
        schema = cast("Json", demanded.get("json_schema") or {}).get("schema")
        return Speech(msgspec.json.encode(example(schema, text)).decode())
    if structured is None and isinstance(demanded, dict) and demanded.get("type") == "json_object":
        return Speech(msgspec.json.encode({"reply": text}).decode())
    return Speech(text)


def _forced_tool(body: Json) -> Json | None:
    tools, choice = cast("list[Json]", body.get("tools") or []), body.get("tool_choice")
    functions = [cast("Json", tool.get("function") or {}) for tool in tools]
    if choice == "required":
        # The tool of a structured result stands last: the ones before it would start a conversation of tools.
        return functions[-1] if functions else None
    if isinstance(choice, dict):
        name = cast("Json", choice.get("function") or {}).get("name")
        return next((function for function in functions if function.get("name") == name), None)
    return None
