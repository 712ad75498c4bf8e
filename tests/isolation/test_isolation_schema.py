"""What the database itself refuses: read from its catalogue, so a new table or function is seen at once."""

import asyncpg
import pytest

from isolation.estate import tables_of_tenants

POLICY = "(org_id = ( SELECT app.org() AS org))"

# Tables without org_id, and why they are no tenant's.
OF_NO_TENANT = {
    "alembic_version": "which migrations have run",
    "installation": "one row: whose keys sealed the secrets",
    "crm_call_slot": "calls are counted per egress address over all tenants; reached by functions only",
    "setup_link": "the first account's one-time link, by hash; reached by functions only",
    "organization": "is the tenant: its own id is held against app.org()",
    "person": "may belong to several tenants: visible to the person only",
    "credential": "a person's: visible to the person only",
    "web_session": "a person's: visible to the person only",
    "totp": "a person's: visible to the person only",
    "recovery_code": "a person's: visible to the person only",
    "passkey": "a person's: visible to the person only",
    "oidc_identity": "a person's: visible to the person only",
    "api_grant": "a person's: visible to the person only",
    "person_key": "under which a person's values in audit chains are sealed; reached by functions only",
    "audit_head": "where each audit chain ends; written by the function that appends",
    "one_time_token": "links and half-finished log-ins, by hash; reached by functions only",
    "refresh_token": "log-ins over the API, by hash; reached by functions only",
    "letter": "sealed letters on their way; reached by functions only",
}
PERSONS = {
    "person",
    "credential",
    "web_session",
    "totp",
    "recovery_code",
    "passkey",
    "oidc_identity",
    "api_grant",
}
CLOSED = {
    "crm_call_slot",
    "setup_link",
    "person_key",
    "audit_head",
    "one_time_token",
    "refresh_token",
    "letter",
}

# Functions that see every tenant's rows: who asks, and why what they answer is harmless.
DEFINERS = {
    "credential_by_email": "log-in: a hash, to be compared",
    "session_by_hash": "cookie: by hash of a random token",
    "memberships_of": "log-in: the person's own workspaces",
    "connection_by_id": "a bot of the CRM asks: by a random id, ids only; its token decides",
    "connection_by_hook": "webhook: by hash of a random secret, ids only",
    "api_key_makers": "list of keys: names of those who made keys of this workspace",
    "has_people": "first start: yes or no",
    "offer_setup": "first start",
    "setup_is_open": "first start: by hash, yes or no",
    "use_setup": "first start: by hash, yes or no",
    "queue_depths": "metrics: numbers",
    "count_lanes_overdue": "metrics: a number",
    "deliveries_due": "sweep: ids, each then opened in its own tenant's transaction",
    "garbage_workspaces": "housekeeping: ids, each then opened in its own tenant's transaction",
    "follow_ups_due": "schedule: ids, each then opened in its own tenant's transaction",
    "outgoing_overdue": "sweep: ids, each then opened in its own tenant's transaction",
    "lanes_overdue": "sweep: ids, each then opened in its own tenant's transaction",
    "forget_old": "housekeeping: deletes what is past its use for everybody",
    "forget_sessions": "housekeeping: deletes what has expired",
    "forget_seen": "housekeeping: deletes digests that are past their use for everybody",
    "due_care": "schedule: ids, each then opened in its own tenant's transaction",
    "due_polls": "schedule: ids, as above",
    "connection_counts": "metrics: numbers",
    "bases_to_measure": "schedule: ids, each then opened in its own tenant's transaction",
    "connections_to_sync": "schedule: ids, each then opened in its own tenant's transaction",
    "sites_to_crawl": "schedule: ids, each then opened in its own tenant's transaction",
    "vectors_due": "schedule: ids, each then opened in its own tenant's transaction",
    "reranking_due": "schedule: ids, each then opened in its own tenant's transaction",
    "graphs_to_measure": "schedule: ids, each then opened in its own tenant's transaction",
    "take_call_slot": "rate limit of the CRM: a time",
    "claim_call_slot": "rate limit of the CRM: times, and how often an account failed",
    "note_call": "rate limit of the CRM: a number",
    "open_circuits": "metrics: a number",
    "ask_circuit": "models that do not answer: numbers",
    "note_circuit": "models that do not answer: a number",
    "resting_models": "models that do not answer: their names, which are the installation's or an agent's",
    "block_calls": "rate limit of the CRM",
    "audit_append": "appends to the transaction's own chain, or to the platform's",
    "person_key_of": "a key sealed by the installation's own",
    "keep_person_key": "keeps the first key of a person",
    "destroy_person_key": "erasure",
    "ended_entries": "open streams: which of the given ids have ended",
    "end_entries": "a person is put out: ends what lets them in",
    "grant_is_live": "access token: by two ids, yes or no",
    "grant_strength": "access token: by its ids, whether two factors were shown",
    "api_key_by_hash": "key of a program: by hash of a random key",
    "invitation_by_hash": "invitation: by hash of a random token",
    "person_by_email": "reset and invitation: an id",
    "passkey_by_credential": "log-in by passkey: by the credential's random id",
    "has_second_factor": "log-in: yes or no",
    "has_any_factor": "log-in: yes or no",
    "must_show_factor": "log-in: yes or no",
    "oidc_providers": "log-in page: id and name, for its buttons",
    "oidc_provider_by_id": "sign-in by provider: by a random id; the secret is sealed",
    "forget_oidc_identities": "trigger: what a deleted sign-in provider vouched for",
    "oidc_person": "sign-in by provider: an id",
    "offer_token": "single-use token: by hash",
    "peek_token": "single-use token: by hash",
    "use_token": "single-use token: by hash",
    "use_refresh_token": "refresh token: by hash of a random token",
    "begin_refresh": "log-in over the API",
    "oidc_providers_of": "a workspace's log-in page: id and name, for its buttons",
    "void_links": "deletes one person's links",
    "keep_letter": "a letter, sealed",
    "read_letter": "a letter by its random id, sealed",
    "forget_letter": "a letter that was sent",
    "delete_workspace": "deletes one whose owner asked for it and whose time has come",
    "audit_names": "names of people in rows of the transaction's own chain",
    "audit_actors": "names of people who act in the transaction's own chain",
    "admin_organizations": "administration: in the platform's own transaction only",
    "admin_members": "administration: as above",
    "admin_people": "administration: as above",
    "admin_memberships": "administration: as above",
    "admin_suspend_organization": "administration: as above",
    "admin_suspend_person": "administration: as above",
    "admin_appoint": "administration: as above",
    "admin_is_last": "administration: yes or no, by id",
    "admin_take_rights": "administration: as above",
    "admin_figures": "administration: numbers, as above",
    "end_impersonation": "trigger: records the end of an impersonation in its two chains",
    "obstacles_to_erasure": "erasure: names of the person's own workspaces",
    "hold_workspaces_of": "erasure: locks the person's own workspaces",
    "erase_person": "erasure: takes what is personal out of a person's row",
    "use_crm_consent": "a consent in a CRM: by hash",
    "crm_account_taken": "connecting an account: yes or no",
    "crm_connections_of": "the CRM's notice of disconnecting: ids, each then opened as its tenant",
    "crm_grants_due": "housekeeping: ids, as above",
    "checks_due": "schedule: ids, each then opened in its own tenant's transaction",
    "resumes_due": "schedule: ids, each then opened in its own tenant's transaction",
    "drafts_due": "schedule: ids, each then opened in its own tenant's transaction",
    "workspaces_to_tidy": "housekeeping: ids, each then opened in its own tenant's transaction",
    "workspaces_to_delete": "housekeeping: ids",
    "workspace_people": "names of the members of the transaction's own workspace, of no other",
}

# Indexes of tenant tables that do not start with org_id serve a function above, or keep a secret unique.
INDEXES = {
    "crm_connection_hook_hash_key": "connection_by_hook",
    "crm_connection_account": "crm_account_taken, crm_connections_of",
    "crm_consent_hash": "use_crm_consent",
    "crm_grant_due": "crm_grants_due",
    "member_person": "memberships_of",
    "live_event_pkey": "a number of the installation, which streams resume by; never searched without org_id",
    "live_event_age": "forget_old",
    "site_due": "sites_to_crawl",
    "site_deleted": "sites_to_crawl",
    "lane_due": "lanes_overdue",
    "outgoing_open": "outgoing_overdue",
    "follow_up_due": "follow_ups_due",
    "delivery_watch_due": "deliveries_due",
    "draft_watch_due": "drafts_due",
    "crm_seen_age": "forget_seen",
    "crm_connection_care": "due_care",
    "crm_connection_poll": "due_polls",
    "api_key_key_hash_key": "api_key_by_hash",
    "invitation_token_hash_key": "invitation_by_hash",
    "oidc_provider_id_key": "oidc_provider_by_id",
    "idempotency_key_age": "forget_sessions",
}


async def rows(platform, sql, *args):
    async with platform.db.installation() as session:
        return await session.fetch(sql, *args)


@pytest.fixture
async def tenant_tables(platform):
    async with platform.db.installation() as session:
        return await tables_of_tenants(session)


async def test_every_table_without_a_tenant_has_its_reason(platform, tenant_tables):
    found = await rows(
        platform,
        "select relname from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')",
    )
    assert {row["relname"] for row in found} - set(tenant_tables) == OF_NO_TENANT.keys()


async def test_nothing_but_tables_shows_rows(platform):
    """A view runs with its owner's rights and would step around the policies."""
    found = await rows(
        platform,
        """select relname from pg_class
            where relnamespace = 'app'::regnamespace and relkind in ('v', 'm', 'f')""",
    )
    assert found == []


async def test_row_level_security_is_forced_on_every_table_of_a_tenant(platform, tenant_tables):
    found = await rows(
        platform,
        """select relname from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')
              and not (relrowsecurity and relforcerowsecurity)""",
    )
    without = {row["relname"] for row in found}
    assert not without & {*tenant_tables, *PERSONS, "organization"}


async def test_the_application_sees_rows_by_the_tenants_policy_only(platform, tenant_tables):
    found = await rows(
        platform,
        """select tablename, cmd, permissive, qual, with_check from pg_policies
            where schemaname = 'app' and exists (select from unnest(roles) as role
                   where case when role = 'public' then true else pg_has_role(role, 'member') end)""",
    )
    for table in tenant_tables:
        policies = [tuple(row)[1:] for row in found if row["tablename"] == table]
        assert policies == [("ALL", "PERMISSIVE", POLICY, POLICY)], table


async def test_every_tenant_column_is_filled_by_the_transaction(platform, tenant_tables):
    found = await rows(
        platform,
        """select table_name from information_schema.columns
            where table_schema = 'app' and column_name = 'org_id'
              and (is_nullable = 'YES' or column_default is distinct from 'app.org()')""",
    )
    # Its rows are written by the trigger of app.chunk, which takes the tenant from there.
    assert {row["table_name"] for row in found} <= {"lexical_stats"}


async def test_every_index_of_a_tenants_table_starts_with_the_tenant(platform, tenant_tables):
    found = await rows(
        platform,
        """select i.indexrelid::regclass::text as name, t.relname as table, a.attname as first
             from pg_index i join pg_class t on t.oid = i.indrelid
             left join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
            where t.relnamespace = 'app'::regnamespace""",
    )
    others = {
        row["name"].removeprefix("app.")
        for row in found
        if row["table"] in tenant_tables and row["first"] != "org_id"
    }
    assert others == INDEXES.keys()


async def test_every_reference_to_a_tenants_table_carries_the_tenant(platform, tenant_tables):
    """Else a row could point to another tenant's: foreign keys are checked without row-level security."""
    found = await rows(
        platform,
        """select c.conname, t.relname as table, f.relname as target,
                  (select array_agg(a.attname::text) from pg_attribute a
                    where a.attrelid = c.conrelid and a.attnum = any (c.conkey)) as columns
             from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_class f on f.oid = c.confrelid
            where c.contype = 'f' and t.relnamespace = 'app'::regnamespace""",
    )
    to_tenants = [row for row in found if row["target"] in tenant_tables]
    assert to_tenants
    assert [row["conname"] for row in to_tenants if "org_id" not in row["columns"]] == []


async def test_what_hangs_on_a_turn_is_found_by_an_index(platform):
    """Else each turn that goes with its conversation has all rows of its workspace read."""
    found = await rows(
        platform,
        """select c.conrelid::regclass::text as table,
                  exists (select from pg_index i
                           where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1]
                             and i.indkey[1] = c.conkey[2]) as is_found
             from pg_constraint c where c.contype = 'f' and c.confrelid = 'app.turn'::regclass""",
    )
    assert len(found) > 3
    assert [row["table"] for row in found if not row["is_found"]] == []


async def test_every_function_that_sees_all_tenants_is_known_and_has_a_fixed_search_path(platform):
    found = await rows(
        platform,
        """select proname, proconfig from pg_proc
            where prosecdef and pronamespace in ('app'::regnamespace, 'jobs'::regnamespace)""",
    )
    assert {row["proname"] for row in found} == DEFINERS.keys()
    for row in found:
        (setting,) = row["proconfig"] or [""]
        path = setting.removeprefix("search_path=").split(", ")
        assert path[0] == "app" and path[-1] == "pg_temp" and set(path[1:-1]) <= {"jobs"}, row["proname"]


@pytest.mark.parametrize("table", sorted(CLOSED))
async def test_closed_tables_are_reached_through_functions_only(table, platform):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await rows(platform, f"select * from app.{table}")  # noqa: S608 - a name of this file


@pytest.mark.parametrize(
    "statement",
    [
        "alter table app.agent disable row level security",
        "alter table app.agent no force row level security",
        "create policy mine on app.agent using (true)",
        "create table app.mine ()",
        "create function app.mine() returns int language sql as 'select 1'",
        "set local role gptagent_owner",
    ],
)
async def test_the_application_cannot_lift_its_own_bounds(statement, platform):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await rows(platform, statement)


async def test_without_a_tenant_no_row_is_seen(platform, tenant_tables, alice):
    """Not an error either: the setting is '' after a transaction that had one."""
    async with platform.db.session(alice.scope) as session:
        assert await session.fetchval("select count(*) from app.agent") == 1
    for table in [*tenant_tables, *PERSONS, "organization"]:
        assert await rows(platform, f"select 1 from app.{table} limit 1") == []  # noqa: S608 - a name of the catalogue


INSERT = """insert into app.article (id, org_id, title, content, created_at, updated_at)
            values (gen_random_uuid(), $1, 'Stolen', 'Long enough a text.', now(), now())"""


@pytest.mark.parametrize("statement", [INSERT, "update app.article set org_id = $1"])
async def test_a_row_cannot_be_written_into_another_tenant(statement, platform, alice, charlie):
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with platform.db.session(charlie.scope) as session:
            await session.execute(statement, alice.scope.org_id)
