"""What the upgrade to categories makes of articles that are there already, in each workspace for itself."""

from importlib.resources import files
from uuid import uuid4

import psycopg
import pytest

from gptagent.kernel.postgres import read_roles

MADE = ("article_related", "article_version", "article_category", "category", "company_facts")


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
