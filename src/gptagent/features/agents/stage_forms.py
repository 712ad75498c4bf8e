"""What the form says of pipelines and stages, which are named there as references.py names them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.datastructures import FormData

from gptagent.features.agents.table import (
    FOLLOW_UP_MAX_CHARS,
    FOLLOW_UP_MAX_HOURS,
    STAGE_GOAL_MAX_CHARS,
    STAGE_TEXT_MAX_CHARS,
)
from gptagent.kernel.errors import FieldError
from gptagent.ui.web import words

PATH = "pipelines.chosen"
LONGEST_NUMBER = 18  # digits of a bigint that are sure to fit
Rule = dict[str, Any]


def number(text: str) -> int | str:
    """Return the number; what is none is left to the service to refuse."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) <= LONGEST_NUMBER else text


def read_pipelines(form: FormData, path: str = PATH) -> Iterator[Rule]:
    """Yield a rule for each pipeline of the form of which something is chosen or typed, halves of it too."""
    active, all_stages, stages = (
        [one for one in form.getlist(f"{path}.{part}") if isinstance(one, str)]
        for part in ("active", "all_stages", "stages")
    )
    for name in (one for one in form.getlist(f"{path}.shown") if isinstance(one, str)):
        connection, _, pipeline = name.partition("/")
        of_stages: Rule = {
            "stages": [number(one.rpartition("/")[2]) for one in stages if one.startswith(f"{name}/")],
            "instructions": list(_texts(form, path, name)),
            "follow_ups": list(_follow_ups(form, path, name)),
            "goals": list(_goals(form, path, name)),
        }
        if name in active or any(of_stages.values()):
            yield {
                "connection_id": connection,
                "pipeline_id": number(pipeline),
                "is_active": name in active,
                "all_stages": name in all_stages,
                **of_stages,
            }


def _stages(form: FormData, path: str, part: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield each stage of the pipeline that has a field of this kind, and what stands in it."""
    prefix = f"{path}.{part}/{name}/"
    return ((key.removeprefix(prefix), words(form, key)) for key in form if key.startswith(prefix))


def _texts(form: FormData, path: str, name: str) -> Iterator[Rule]:
    for stage, text in _stages(form, path, "text", name):
        if text.strip():
            yield {"stage_id": number(stage), "text": text}


def _goals(form: FormData, path: str, name: str) -> Iterator[Rule]:
    for stage, text in _stages(form, path, "goal", name):
        following = words(form, f"{path}.next/{name}/{stage}").strip()
        if text.strip() or following:
            next_stage = number(following) if following else None
            yield {"stage_id": number(stage), "text": text, "next_stage_id": next_stage}


def _follow_ups(form: FormData, path: str, name: str) -> Iterator[Rule]:
    for stage, text in _stages(form, path, "follow", name):
        hours = words(form, f"{path}.hours/{name}/{stage}").strip()
        if text.strip() or hours:
            yield {"stage_id": number(stage), "after_hours": number(hours), "text": text}


def whole_rules(rules: Sequence[Rule]) -> tuple[list[Rule], list[FieldError]]:
    """Return the rules without what is half typed or too long at a stage, and a fault for each such field."""
    kept, faults = [], []
    for rule in rules:
        name = f"{rule['connection_id']}/{rule['pipeline_id']}"
        whole = dict(rule)
        for part, faults_of in FAULTS.items():
            found = [(one, list(faults_of(one, f"{name}/{one['stage_id']}"))) for one in rule[part]]
            faults += [fault for _one, wrong in found for fault in wrong]
            whole[part] = [one for one, wrong in found if not wrong]
        kept.append(whole)
    return kept, faults


def _of_text(one: Mapping[str, Any], stage: str) -> Iterator[FieldError]:
    if len(one["text"].strip()) > STAGE_TEXT_MAX_CHARS:
        yield _fault("text", stage, "An instruction has at most {high} characters.", STAGE_TEXT_MAX_CHARS)


def _of_goal(one: Mapping[str, Any], stage: str) -> Iterator[FieldError]:
    if not one["text"].strip():
        yield _fault("goal", stage, "Write what is to be reached, or let the deal stay.")
    elif len(one["text"].strip()) > STAGE_GOAL_MAX_CHARS:
        yield _fault("goal", stage, "A stage's goal has at most {high} characters.", STAGE_GOAL_MAX_CHARS)


def _of_follow_up(one: Mapping[str, Any], stage: str) -> Iterator[FieldError]:
    hours, text = one["after_hours"], one["text"].strip()
    if not text:
        yield _fault("follow", stage, "Write what the customer is sent, or empty the hours.")
    elif len(text) > FOLLOW_UP_MAX_CHARS:
        yield _fault("follow", stage, "A follow-up has at most {high} characters.", FOLLOW_UP_MAX_CHARS)
    if not isinstance(hours, int) or not 1 <= hours <= FOLLOW_UP_MAX_HOURS:
        yield _fault("hours", stage, "A follow-up comes after 1 to {high} hours.", FOLLOW_UP_MAX_HOURS)


def _fault(field: str, stage: str, message: str, high: int | None = None) -> FieldError:
    return FieldError(f"{PATH}.{field}/{stage}", message, None if high is None else {"high": high})


FAULTS = {"instructions": _of_text, "goals": _of_goal, "follow_ups": _of_follow_up}
