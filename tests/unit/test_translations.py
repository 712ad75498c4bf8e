"""Every text a person may read has a Russian translation; English is in the code."""

import ast
import re

import pytest
from babel.messages.pofile import read_po
from ui_support import SOURCE

from gptagent.features.agents import copying, forms, offering, table
from gptagent.features.agents import model as agents
from gptagent.features.agents.exchange import web as agent_files
from gptagent.features.agents.listing import web as agent_list
from gptagent.features.agents.versions import model as agent_versions
from gptagent.features.agents.versions import telling
from gptagent.features.audit import service as audit
from gptagent.features.crm import frame
from gptagent.features.crm import web as crm
from gptagent.features.crm.deliveries import calls
from gptagent.features.crm.deliveries import words as deliveries
from gptagent.features.crm.replying import web as replying
from gptagent.features.crm.syncing import web as syncing
from gptagent.features.dialog import ending
from gptagent.features.dialog import web as dialog
from gptagent.features.dialog.acting import promising, tools
from gptagent.features.dialog.acting import web as acting
from gptagent.features.dialog.scenario_runs.model import REASONS as PUBLISHING_REASONS
from gptagent.features.dialog.scenarios import forms as scenario_forms
from gptagent.features.dialog.scenarios.model import SENTENCES as SCENARIO_FAILURES
from gptagent.features.dialog.tracing.telling import MASKED
from gptagent.features.dialog.trying import telling as trying
from gptagent.features.inference.masking.model import KINDS
from gptagent.features.knowledge.exchange.files import ARTICLES
from gptagent.features.knowledge.model import FAILURES
from gptagent.features.knowledge.questions.files import QUESTIONS
from gptagent.features.knowledge.sites.model import REASONS as SITE_REASONS
from gptagent.features.organizations import api_keys_web
from gptagent.kernel import errors, http
from gptagent.kernel.i18n import translate

# Operators read these on the command line, in English.
FOR_OPERATORS = {"Misconfigured"}
ERRORS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.AppError) and name not in FOR_OPERATORS
} | {"FieldError"}
TEXT_ARGUMENTS = {
    **dict.fromkeys(ERRORS, (1,)),
    "field": (1,),
    "Notice": (1, 2),
    "NavItem": (0,),
    "NavSection": (0,),
    "TabSet": (0,),
}
NAMED = {
    agents.DEFAULT_INSTRUCTIONS,
    agents.DEFAULT_NOT_FOUND,
    *(setting.says for setting in table.SETTINGS.values()),
    *forms.WEEKDAYS,
    agent_files.NO_AGENT,
    agent_files.WRONG,
    agent_files.LACKS,
    *telling.TITLES.values(),
    *telling.WORDS.values(),
    agent_versions.DRAFT_CHANGED,
    telling.YES,
    telling.NO,
    telling.ALL_STAGES,
    telling.RULE_OFF,
    *telling.OF_STAGES.values(),
    telling.GOES_ON,
    telling.OVERWRITES,
    copying.COPY,
    copying.COPY_NUMBERED,
    *agent_list.COLUMNS.values(),
    *offering.FIELD_NAMES.values(),
    ending.BUDGET_TASK,
    *offering.ACTION_NAMES.values(),
    *offering.DEGREE_NAMES.values(),
    *acting.ACTIONS.values(),
    *acting.INTENTS.values(),
    *MASKED.values(),
    *trying.PLANS.values(),
    *trying.FAILURES.values(),
    *acting.REASONS.values(),
    promising.PROMISE_TASK,
    ending.FACT_GATE_TASK,
    ending.FAILED_TASK,
    ending.LEAK_TASK,
    ending.NOT_FOUND_TASK,
    ending.NOT_SENT_TASK,
    ending.WINDOW_TASK,
    crm.OTHER_REASON,
    replying.OTHER_UNLISTED,
    *replying.REFUSALS.values(),
    *replying.UNLISTED.values(),
    syncing.OTHER_REASON,
    *syncing.REASONS.values(),
    *syncing.PARTS.values(),
    *syncing.KINDS.values(),
    *syncing.ENTITIES.values(),
    *syncing.TYPES.values(),
    *api_keys_web.SCOPES.values(),
    *SCENARIO_FAILURES.values(),
    *PUBLISHING_REASONS.values(),
    *scenario_forms.LOOKS.values(),
    *scenario_forms.STATES.values(),
    *scenario_forms.VERDICTS.values(),
    *scenario_forms.ENDS.values(),
    scenario_forms.WRONG_NUMBER,
    dialog.NOT_SENT,
    dialog.REFUSED,
    *crm.REASONS.values(),
    *deliveries.KINDS.values(),
    *deliveries.ERRORS.values(),
    *(name for name, _kind, _icon in deliveries.STATES.values()),
    calls.CALL_BACK,
    calls.CALL_BACK_UNKNOWN,
    *(label for label, _path in frame.TABS),
    *audit.SENTENCES.values(),
    *audit.FIELDS.values(),
    *dialog.REASONS.values(),
    *dialog.MEMORY_KINDS.values(),
    *dialog.MEMORY_AUTHORS.values(),
    *FAILURES.values(),
    *(text for kind in (ARTICLES, QUESTIONS) for text in (kind.none, kind.too_many, kind.strange)),
    *SITE_REASONS.values(),
    *(message for _code, message in http._FRAMEWORK.values()),
}


def test_what_was_hidden_from_a_model_has_words_for_each_kind():
    """AGT-13: an explanation says "Phone numbers: 2", not "phone 2"."""
    assert MASKED.keys() == set(KINDS)


def test_what_a_test_chat_would_do_has_words_for_each_tool():
    assert {tools.WRITE_FIELD, *acting.ACTIONS} <= trying.PLANS.keys()


def texts_of(path):
    """Yield the literal texts that a file hands to errors, notices and the navigation."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            for place in TEXT_ARGUMENTS.get(name, ()):
                for given in node.args[place : place + 1]:
                    parts = (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,)
                    yield from (
                        p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)
                    )
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            names = [argument.arg for argument in node.args.args][-len(node.args.defaults) or 999 :]
            defaults = dict(zip(names, node.args.defaults, strict=True))
            if isinstance(defaults.get("message"), ast.Constant):
                yield defaults["message"].value


def product_files():
    return [
        path for path in SOURCE.rglob("*.py") if not {"sandbox", "postgres", "migrations"} & set(path.parts)
    ]


def texts():
    return NAMED | {text for path in product_files() for text in texts_of(path) if text}


def russian():
    found = {}
    for catalogue in (SOURCE / "locales/ru/LC_MESSAGES").glob("*.po"):
        with catalogue.open("rb") as file:
            found |= {message.id: message.string for message in read_po(file) if message.id}
    return found


def test_every_message_of_the_code_is_translated():
    """U203"""
    known = russian()
    assert len(texts()) > 60
    assert sorted(text for text in texts() if not known.get(text)) == []


def test_a_translation_has_the_placeholders_of_its_message():
    for message, translated in russian().items():
        singular = message if isinstance(message, str) else message[1]
        wanted = set(re.findall(r"%\(\w+\)s|(?<!\{)\{\w+\}", singular))
        for form in [translated] if isinstance(translated, str) else translated:
            assert set(re.findall(r"%\(\w+\)s|(?<!\{)\{\w+\}", form)) == wanted, message


def test_a_russian_dash_is_long():
    """A hyphen between spaces is a typewriter's dash; only a Markdown list is meant to have one (U204)."""
    forms = [form for said in russian().values() for form in ([said] if isinstance(said, str) else said)]
    assert [form for form in forms if " - " in form and "**" not in form] == []


@pytest.mark.parametrize("text", sorted(texts()))
def test_a_message_is_shown_in_russian(text):
    assert re.search("[а-яё]", translate("ru", text), re.IGNORECASE) or text == "Kommo"
