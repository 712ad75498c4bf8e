"""Lists of the page of decisions that name no figure: each line is shown by tests, and none is missing."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from asvs import ROOT, named_in
from gptagent.kernel.settings import Settings
from unit.test_security_controls import part, rows

PRIVACY = (ROOT / "docs/security/privacy.md").read_text()

# Section of the page -> what a line is about -> the tests that show what it says.
SHOWN_BY = {
    "Values that must fit each other": {
        "A consent's state and the log-in, person and workspace that come back with it": [
            "integration/test_crm_consent_pages.py::test_only_the_browser_it_was_begun_in_may_come_back",
            "contract/test_crm_consent.py::test_a_state_of_another_workspace_connects_nothing_there",
        ],
        "The secret of a webhook's address and the account in its body": [
            "isolation/test_isolation.py::test_a_hook_takes_no_message_of_another_account",
        ],
        "The version of an article or agent and the one that is kept": [
            "acceptance/test_api_lists.py::test_a_change_meant_for_another_state_changes_nothing",
            "integration/test_pages_workspace.py::test_an_article_somebody_else_changed_is_not_overwritten",
        ],
        "The ending of a file's name and its content": [
            "unit/test_knowledge_parsing.py::test_an_unusable_file_ends_in_a_reason",
        ],
        "Title and text of an article, all settings of an agent": [
            "unit/test_knowledge_model.py::test_wrong_fields_are_named",
            "integration/test_agents.py::test_a_change_leaves_the_other_settings_and_names_every_fault",
        ],
        "A cursor and the order of its list": [
            "acceptance/test_api_lists.py::test_a_cursor_of_another_order_is_refused",
        ],
        "A row and what it points to": [
            "isolation/test_isolation_schema.py::test_every_reference_to_a_tenants_table_carries_the_tenant",
        ],
        "`KOMMO_CLIENT_ID` and `KOMMO_CLIENT_SECRET`": [
            "unit/test_settings.py::test_a_wrong_value_is_named_with_its_variable",
        ],
        "`AMOCRM_CLIENT_ID` and `AMOCRM_CLIENT_SECRET`": [
            "unit/test_settings.py::test_a_wrong_value_is_named_with_its_variable",
        ],
        "`DATABASE_URL` and `DATABASE_OWNER_URL`; `SMTP_URL` and `MAIL_FROM`; the `OIDC_` settings": [
            "unit/test_settings.py::test_production_refuses_unsafe_values_with_what_to_set",
            "unit/test_settings.py::test_a_wrong_value_is_named_with_its_variable",
        ],
        "`SECRET_KEYS` and `SECRET_KEYS_FILE`": [
            "unit/test_settings.py::test_keys_come_from_one_place_only",
        ],
    },
    "What else decides": {
        "Network address: Log-in, registration, reset, requests without a credential": [
            "integration/test_limits.py::test_one_address_gets_ten_tries_a_minute_over_all_accounts",
            "integration/test_recovery.py::test_letters_are_limited_and_the_limit_does_not_tell_either",
            "acceptance/test_api_limits.py::test_who_shows_no_accepted_credential_is_counted_by_address",
        ],
        "Network address: Webhooks, if the operator lists networks": [
            "integration/test_browser_hardening.py::test_webhooks_may_be_bound_to_networks",
        ],
        "Whether the log-in has shown a second factor: "
        "A workspace that asks for one; administration of the platform": [
            (
                "integration/test_second_factor_demand.py"
                "::test_who_has_none_is_led_to_setting_one_up_and_then_let_in"
            ),
            (
                "integration/test_second_factor_demand.py"
                "::test_the_administration_asks_for_two_factors_where_it_is_set"
            ),
        ],
        "Whether the request came by https: Everywhere in production": [
            (
                "integration/test_https_only.py"
                "::test_a_page_asked_for_in_the_clear_leads_to_the_configured_https_address"
            ),
            "integration/test_https_only.py::test_everything_else_in_the_clear_is_refused",
        ],
        "Time since the person was last asked who they are: "
        "Password, second step, passkeys, address, account; administration of the platform": [
            "integration/test_pages_account.py::test_what_is_sensitive_asks_who_it_is_and_leads_back",
            "integration/test_account.py::test_a_grant_must_have_been_confirmed_lately",
            "integration/test_admin.py::test_a_change_needs_a_log_in_that_was_confirmed_lately",
        ],
        "How the log-in came about: impersonation, a workspace's own sign-in: "
        "Account, other workspaces, administration": [
            "integration/test_pages_account.py::test_a_log_in_somebody_else_has_a_hand_in_changes_nothing",
            (
                "integration/test_sign_in.py"
                "::test_a_workspaces_provider_brings_members_and_opens_this_workspace_only"
            ),
            "integration/test_impersonation.py::test_it_opens_one_workspace_and_never_the_administration",
        ],
        "Age of a token, link, invitation or key: Everywhere": [
            "unit/test_access_tokens.py::test_a_token_names_its_person_and_workspace_for_ten_minutes",
            "integration/test_recovery.py::test_a_link_is_kept_as_a_hash_and_ends_after_an_hour",
            (
                "integration/test_security_grants.py"
                "::test_a_log_in_over_the_api_ends_after_thirty_days_however_often_it_is_renewed"
            ),
        ],
        "Browser and system by name: Nowhere: shown to the person only": [
            "integration/test_log_in_promises.py::test_neither_address_nor_browser_decides_within_a_session",
        ],
    },
    "What is expensive": {
        "Hashing a password": [
            "integration/test_limits.py::test_one_account_gets_ten_tries_from_all_addresses",
            "unit/test_security_controls.py::test_every_figure_is_the_codes",
        ],
        "Reading a file": [
            "unit/test_knowledge_limits.py::test_a_child_is_refused",
            "unit/test_knowledge_parsing.py::test_a_child_that_takes_too_long_is_killed",
            "integration/test_log_in_promises.py::test_uploads_of_a_workspace_are_counted_together",
        ],
        "Reading a site": [
            "integration/test_sites_reading.py::test_depth_and_number_of_pages_are_kept_to",
            "integration/test_sites_reading.py::test_a_site_that_makes_up_links_comes_to_an_end",
        ],
        "Searching the base": [
            "integration/test_knowledge_search.py::test_the_search_reads_the_postings_by_their_key",
            "integration/test_knowledge_spelling.py::test_near_words_are_read_by_their_key",
        ],
        "Asking a model": [
            "integration/test_dialog_gates.py::test_several_messages_get_one_reply_that_covers_all",
            "contract/test_llm_adapter.py::test_a_silent_provider_is_given_up_in_time",
            "contract/test_llm_adapter.py::test_the_web_process_never_loads_the_library",
        ],
        "Calling a CRM": [
            "integration/test_crm_limiter.py::test_each_of_many_calls_at_once_gets_a_slot_of_its_own",
            "integration/test_crm_limiter.py::test_under_load_a_sync_gives_way_first_and_a_reply_last",
        ],
        "Long requests": [
            "acceptance/test_api_limits.py::test_a_body_that_comes_too_slowly_is_given_up",
            "acceptance/test_api_lists.py::test_every_list_has_pages",
        ],
        "Handing out all that is kept": [
            "integration/test_privacy_exports.py::test_a_reader_who_stalls_or_leaves_holds_no_connection",
            "integration/test_privacy_exports.py::test_the_rest_is_not_read_before_it_is_asked_for",
        ],
        "Event streams": [
            "integration/test_live.py::test_a_stalled_tab_loses_events_but_nothing_else",
            "integration/test_live.py::test_a_tab_hears_twenty_topics_at_most",
        ],
    },
}
# How many of the first cells of a line say what it is about.
ABOUT = {"What else decides": 2}


def lines(section):
    width = ABOUT.get(section, 1)
    return [": ".join(row[:width]) for row in rows(section)[1:] if not row[0].startswith("-")]


@pytest.mark.parametrize("section", SHOWN_BY)
def test_every_line_of_the_list_is_shown_by_tests_and_no_other_is(section):
    assert lines(section) == list(SHOWN_BY[section])


@pytest.mark.parametrize("section", SHOWN_BY)
def test_what_is_named_here_exists(section):
    for tests in SHOWN_BY[section].values():
        for file, name in (test.split("::") for test in tests):
            assert name in named_in(f"tests/{file}"), name


def test_settings_that_belong_together_are_listed():
    """Each is judged by a validator of the whole, which is where the list would be out of date first."""
    source = Path(ROOT / "src/gptagent/kernel/settings.py").read_text()
    sentences = re.findall(r'"(set [^"]*(?:together|not both|or unset)[^"]*)"', source)
    named = {name for sentence in sentences for name in re.findall(r"[A-Z]+(?:_[A-Z]+)+", sentence)}
    listed = set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", part("Values that must fit each other")))
    assert named - {name for name in named if name.startswith("OIDC_")} == listed


def test_every_secret_is_among_the_keys():
    keys = {row[-1] for row in rows("Cryptography") if len(row) == 5}
    told = {name for cell in keys for name in re.findall(r"`([\w.]+)`", cell)}
    settings = {
        name.upper()
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    assert settings == {name for name in told if name.isupper()} - {"SECRET_KEYS_FILE"}
    columns = {
        f"{table}.{column}"
        for table, cell in re.findall(r"^\| `(\w+)` \|([^|]*)\|", PRIVACY, re.MULTILINE)
        for column in re.findall(r"`(\w+)`", cell)
        if "\n## Levels\n" in PRIVACY.partition(f"\n| `{table}` |")[0]
    }
    assert columns == {name for name in told if re.fullmatch(r"[a-z_]+\.[a-z_]+", name)} - {"roles.json"}
