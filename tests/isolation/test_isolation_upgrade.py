"""What upgrades make of the knowledge that is there already, in each workspace for itself."""

from importlib import import_module
from importlib.resources import files
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from gptagent.kernel.postgres import read_roles

MADE = ("article_related", "article_version", "article_category", "document_category", "site_category")
MADE += ("category", "company_facts")


@pytest.fixture
def before(house):
    """A transaction of the owner, never committed, in which the upgrade has not happened yet."""
    with psycopg.connect(read_roles(house).owner_dsn) as owner:
        for table in MADE:
            owner.execute(f"drop table app.{table}")
        owner.execute("alter table app.article drop column description, drop column tags")
        yield owner
        owner.rollback()


def workspace(owner, locale):
    org_id = uuid4()
    owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
    owner.execute(
        "insert into app.organization (id, name, slug, locale) values (%s, 'Old', 'old', %s)",
        [org_id, locale],
    )
    owner.execute(
        """insert into app.article (id, title, content, version, created_at, updated_at)
           values (gen_random_uuid(), 'Old one', 'Long enough.', 7, now(), now())"""
    )
    return org_id


def test_articles_that_are_there_go_to_the_default_category_and_have_a_version(before):
    owner = before
    made = {workspace(owner, locale): title for locale, title in (("ru", "Общее"), ("en", "General"))}
    owner.execute((files("gptagent.migrations") / "sql/knowledge_structure.sql").read_bytes())
    for org_id, title in made.items():
        owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
        found = owner.execute(
            """select c.title, c.is_default, v.version, v.title, v.actor_kind
                 from app.article a join app.article_category m on m.article_id = a.id
                      join app.category c on c.id = m.category_id
                      join app.article_version v on v.article_id = a.id"""
        ).fetchall()
        assert found == [(title, True, 7, "Old one", None)]
    forced = owner.execute(
        """select bool_and(relforcerowsecurity) from pg_class
            where oid in ('app.article'::regclass, 'app.organization'::regclass, 'app.category'::regclass)"""
    ).fetchone()
    assert forced == (True,)


@pytest.fixture
def before_spelling(house):
    """A transaction as above, in which questions are not respelt yet."""
    with psycopg.connect(read_roles(house).owner_dsn) as owner:
        owner.execute("drop table app.gram")
        owner.execute(
            "drop trigger posting_added on app.posting; drop trigger posting_removed on app.posting"
        )
        owner.execute("drop function app.learn_words, app.forget_words, app.grams, app.has_grams")
        yield owner
        owner.rollback()


def test_the_words_of_each_base_that_is_there_can_be_respelt(before_spelling):
    owner = before_spelling
    made = {workspace(owner, "ru"): word for word in ("канарейка", "снегирь")}
    for org_id, word in made.items():
        owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
        owner.execute(
            """with added as (
                 insert into app.chunk (article_id, ordinal, heading, content, length)
                 select id, 1, '', %s, 3 from app.article returning id
               )
               insert into app.posting (lexeme, chunk_id, tf, length)
               select lexeme, id, 1, 3 from added, unnest(array[%s, '12345', 'usb']) lexeme""",
            [word, word],
        )
    import_module("gptagent.migrations.versions.0007_spelling").apply(owner)
    for org_id, word in made.items():
        owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
        found = owner.execute("select lexeme, array_agg(gram) from app.gram group by lexeme").fetchall()
        assert [lexeme for lexeme, _ in found] == [word]
        padded = f"  {word} "
        assert sorted(found[0][1]) == sorted({padded[n : n + 3] for n in range(len(word) + 1)})
    forced = owner.execute(
        """select bool_and(relforcerowsecurity) from pg_class
            where oid in ('app.lexical_stats'::regclass, 'app.posting'::regclass, 'app.gram'::regclass)"""
    ).fetchone()
    assert forced == (True,)


@pytest.fixture
def before_documents(house):
    """A transaction as above, in which an agent has columns, and an agent stops when a person writes."""
    with psycopg.connect(read_roles(house).owner_dsn) as owner:
        owner.execute("drop trigger number_version on app.agent; drop trigger keep_version on app.agent")
        owner.execute("drop trigger join_settings on app.agent; drop function app.join_settings")
        owner.execute("alter table app.agent drop column settings")
        owner.execute(
            "alter table app.agent alter instructions drop default, alter not_found_text drop default"
        )
        owner.execute(
            """alter table app.organization drop column stop_on_human, drop column resume_after_hours,
                      drop column resume_command"""
        )
        yield owner
        owner.rollback()


# What a release before documents writes: all its columns, those it does not change with what they were.
OLD_INSERT = (
    "insert into app.agent (id, name, instructions, not_found_text) values (%s, %s, 'Be kind.', 'Hm.')"
)
OLD_UPDATE = """update app.agent set name = name, instructions = %(instructions)s, model = %(model)s,
                       creativity = %(creativity)s, response_delay_seconds = %(response_delay_seconds)s,
                       not_found_text = %(not_found_text)s, not_found_task = %(not_found_task)s,
                       remembers_customers = %(remembers_customers)s, version = version + 1
                 where id = %(id)s"""
OLD = {
    "instructions": "Be brief.",
    "model": "gpt-old",
    "creativity": "precise",
    "response_delay_seconds": 77,
    "not_found_text": "One moment.",
    "not_found_task": False,
    "remembers_customers": False,
}
NEW = {"instructions": "Be long.", "model": None, "creativity": "creative", "response_delay_seconds": 3}
NEW |= {"not_found_text": "Two moments.", "not_found_task": True, "remembers_customers": True}


def old_and_new(owner, agent_id):
    """What a process of the release before reads of the agent, and what one of this release does."""
    row = owner.execute("select to_jsonb(a), settings from app.agent a where id = %s", [agent_id]).fetchone()
    return {name: row[0][name] for name in OLD}, row[1]


def test_agents_keep_their_settings_while_two_releases_run(before_documents):
    owner, kept = before_documents, {}
    for _ in range(2):
        org_id, agent_id = workspace(owner, "ru"), uuid4()
        owner.execute(OLD_INSERT, [agent_id, "Kept"])
        owner.execute(OLD_UPDATE, {**OLD, "id": agent_id})
        kept[org_id] = agent_id
    owner.execute("select set_config('app.org_id', '', true)")
    owner.execute((files("gptagent.migrations") / "sql/agent_settings.sql").read_bytes())
    for org_id, agent_id in kept.items():
        owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
        assert old_and_new(owner, agent_id) == (OLD, OLD)
    made = uuid4()
    owner.execute(OLD_INSERT, [made, "Made by the release before"])
    columns, document = old_and_new(owner, made)
    assert document == columns and document["instructions"] == "Be kind."
    whole = {**NEW, "goal": "Sell", "language": {"detect": True}}
    write = "update app.agent set settings = %s where id = %s"
    owner.execute(write, [Jsonb(whole), made])
    assert old_and_new(owner, made) == (NEW, whole)
    owner.execute(OLD_UPDATE, {**NEW, "not_found_text": "Three moments.", "id": made})
    assert old_and_new(owner, made)[1] == {**whole, "not_found_text": "Three moments."}
    owner.execute("update app.agent set is_active = true, settings = settings where id = %s", [made])
    assert old_and_new(owner, made)[1] == {**whole, "not_found_text": "Three moments."}
    born = uuid4()
    owner.execute("insert into app.agent (id, name, settings) values (%s, 'Born', %s)", [born, Jsonb(whole)])
    assert old_and_new(owner, born) == (NEW, whole)
    forced = owner.execute(
        "select relforcerowsecurity from pg_class where oid = 'app.agent'::regclass"
    ).fetchone()
    assert forced == (True,)


def test_agents_of_workspaces_that_are_there_still_stop_for_a_person(before_documents):
    owner = before_documents
    made = [workspace(owner, locale) for locale in ("ru", "en")]
    owner.execute("select set_config('app.org_id', '', true)")
    owner.execute((files("gptagent.migrations") / "sql/stopping.sql").read_bytes())
    rule = "select stop_on_human, resume_after_hours, resume_command from app.organization where id = %s"
    assert [owner.execute(rule, [org_id]).fetchone() for org_id in made] == [(True, 0, "/agent")] * 2
    made.append(workspace(owner, "en"))
    assert owner.execute(rule, [made[-1]]).fetchone()[0] is False


@pytest.fixture
def owner(house):
    """A transaction of the owner, never committed."""
    with psycopg.connect(read_roles(house).owner_dsn) as owner:
        yield owner
        owner.rollback()


def test_agents_that_are_there_have_a_version_and_the_release_before_may_write_more(owner, house):
    """Before the rights to new tables are given: the release before saves agents at any moment."""
    owner.execute("drop trigger number_version on app.agent; drop trigger keep_version on app.agent")
    owner.execute("drop table app.agent_version")
    owner.execute("drop function app.number_version, app.keep_version, app.version_stays")
    owner.execute("alter table app.agent drop column published, drop column draft")
    owner.execute("alter table app.turn drop column agent_version")
    made = {workspace(owner, "ru"): uuid4() for _ in range(2)}
    for org_id, agent_id in made.items():
        owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
        owner.execute(
            "insert into app.agent (id, name, settings) values (%s, 'Kept', %s)",
            [agent_id, Jsonb({"goal": "Sell"})],
        )
    owner.execute("select set_config('app.org_id', '', true)")
    owner.execute((files("gptagent.migrations") / "sql/agent_versions.sql").read_bytes())
    for org_id, agent_id in made.items():
        owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
        kept = owner.execute(
            """select v.number, v.settings = a.settings
                 from app.agent_version v join app.agent a on a.id = v.agent_id where v.agent_id = %s""",
            [agent_id],
        ).fetchall()
        assert kept == [(1, True)]
    role = urlsplit(read_roles(house).app_dsn).username
    for right in ("select", "insert"):
        asked = owner.execute("select has_table_privilege(%s, 'app.agent_version', %s)", [role, right])
        assert asked.fetchone() == (True,), right


LOCKS = """select relation::regclass::text, mode from pg_locks
            where pid = pg_backend_pid() and locktype = 'relation'
              and relation in ('app.posting'::regclass, 'app.lexical_stats'::regclass, 'app.chunk'::regclass,
                               'app.article'::regclass, 'app.document'::regclass)
              and mode in ('AccessExclusiveLock', 'ShareRowExclusiveLock')"""


def test_the_words_of_each_base_that_is_there_are_counted_while_searches_go_on(owner):
    made = {workspace(owner, "ru"): word for word in ("канарейка", "снегирь")}
    for org_id, word in made.items():
        owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
        owner.execute(
            """with added as (
                 insert into app.chunk (article_id, ordinal, heading, content, length)
                 select a.id, n, '', 'x', 3 from app.article a, generate_series(1, 3) n returning id
               ), one as (select min(id) as id from added)
               insert into app.posting (lexeme, chunk_id, tf, length)
               select %s, id, 5, 3 from added union all select 'usb', id, 1, 3 from one""",
            [word],
        )
    owner.execute("drop trigger forget_postings on app.document; drop trigger forget_postings on app.article")
    owner.execute("drop function app.forget_source, app.forget_postings; drop table app.lexeme")
    before = set(owner.execute(LOCKS).fetchall())
    import_module("gptagent.migrations.versions.0027_words").apply(owner)
    written = {(f"app.{table}", "ShareRowExclusiveLock") for table in ("article", "document", "posting")}
    assert set(owner.execute(LOCKS).fetchall()) - before == written
    for org_id, word in made.items():
        owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
        found = owner.execute("select lexeme, chunks from app.lexeme").fetchall()
        assert sorted(found) == sorted([(word, 3), ("usb", 1)])


def test_the_one_text_about_the_company_becomes_a_fact_of_its_workspace(house):
    """KB-23: also what the release before writes until it is gone."""
    with psycopg.connect(read_roles(house).owner_dsn) as owner:
        owner.execute("drop trigger facts_carried on app.company_facts")
        owner.execute("drop table app.company_fact_stage, app.company_fact_agent, app.company_fact cascade")
        owner.execute("drop function app.carry_company_facts, app.note_facts_changed")
        made = {uuid4(): text for text in ("Since 2004.\n\nIn Kazan.", "Somebody else's.", "")}
        for org_id, text in made.items():
            owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
            owner.execute(
                "insert into app.organization (id, name, slug, locale) values (%s, 'Old', 'old', 'en')",
                [org_id],
            )
            owner.execute(
                "insert into app.company_facts (content, version, updated_at) values (%s, 3, now())", [text]
            )
        owner.execute((files("gptagent.migrations") / "sql/company_fact_items.sql").read_bytes())
        told = "select content, is_global, is_everywhere, version from app.company_fact"
        for org_id, text in made.items():
            owner.execute("select set_config('app.org_id', %s, true)", [str(org_id)])
            assert owner.execute(told).fetchall() == ([(text, True, True, 3)] if text else [])
            owner.execute("update app.company_facts set content = 'Written by the release before.'")
            ((content, *_),) = owner.execute(told).fetchall()
            assert content == "Written by the release before."
        owner.rollback()
