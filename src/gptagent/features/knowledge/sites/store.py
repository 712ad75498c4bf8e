"""All SQL of sites and their pages. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg

from gptagent.features.knowledge.sites.model import (
    SITEMAPS_PER_RUN,
    Claimed,
    Content,
    Counts,
    NewSite,
    Site,
    SitePage,
    Visit,
)
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

_SITE = """id, kind, url, depth, page_limit, every, state, error_code, run, claim, version, next_at,
           started_at, finished_at, created_at, updated_at,
           array(select m.category_id from app.site_category m where m.site_id = site.id
                  order by 1) as categories"""
# The text of a page whose bytes were taken may still turn out to be unreadable.
_STATE = "case when d.status = 'failed' and p.state in ('taken', 'unchanged') then 'failed' else p.state end"
# A sitemap is listed if something is wrong with it.
_SHOWN = "(p.kind = 'page' or p.state = 'failed')"
_JOINED = "app.site_page p left join app.document d on d.org_id = p.org_id and d.page_id = p.id"
_PAGE = f"""p.id, p.kind, p.url, p.title, p.depth, {_STATE} as state,
            case when d.status = 'failed' and p.state in ('taken', 'unchanged') then d.error_code
                 else p.reason end as reason,
            p.http_status, d.id as document_id,
            coalesce(d.status in ('pending', 'processing'), false) as reading,
            coalesce(case when d.status <> 'failed' then d.chunk_count end, 0) as chunks, p.checked_at"""


async def insert_site(session: Session, site_id: UUID, new: NewSite, next_at: datetime | None) -> bool:
    """Return False if the address is here already."""
    return bool(
        await session.fetchval(
            """insert into app.site (id, kind, url, depth, page_limit, every, next_at)
               values ($1, $2, $3, $4, $5, $6, $7)
               on conflict (org_id, url) where deleted_at is null do nothing returning true""",
            site_id,
            new.kind,
            new.url,
            new.depth,
            new.page_limit,
            new.every,
            next_at,
        )
    )


async def count_sites(session: Session) -> int:
    count: int = await session.fetchval("select count(*) from app.site where deleted_at is null")
    return count


async def fetch_site(session: Session, site_id: UUID, *, lock: bool = False) -> Site | None:
    row = await session.fetchrow(
        f"""select {_SITE} from app.site where id = $1 and deleted_at is null
            {"for no key update" if lock else ""}""",
        site_id,
    )
    return _site(row) if row else None


async def list_sites(session: Session) -> list[Site]:
    rows = await session.fetch(f"select {_SITE} from app.site where deleted_at is null order by url")
    return [_site(row) for row in rows]


async def page_sites(session: Session, page: Page) -> list[Site]:
    rows = await session.fetch(
        f"select {_SITE} from app.site where deleted_at is null and {page.clause(1)}", *page.args
    )
    return [_site(row) for row in rows]


async def count_pages(session: Session, site_ids: Sequence[UUID]) -> dict[UUID, Counts]:
    """Return the counts of each site's latest run."""
    rows = await session.fetch(
        f"""select p.site_id, count(*)::int as found,
                   count(*) filter (where state = 'waiting')::int as waiting,
                   count(*) filter (where state = 'taken')::int as taken,
                   count(*) filter (where state = 'unchanged')::int as unchanged,
                   count(*) filter (where state = 'failed')::int as failed,
                   count(*) filter (where state = 'refused')::int as refused,
                   count(*) filter (where state = 'skipped')::int as skipped,
                   count(*) filter (where state = 'gone')::int as gone,
                   count(*) filter (where reading)::int as reading,
                   count(*) filter (where indexed)::int as indexed
              from (select p.site_id, {_STATE} as state,
                           coalesce(d.chunk_count > 0 and d.status <> 'failed', false) as indexed,
                           coalesce(d.status in ('pending', 'processing'), false) as reading
                      from {_JOINED} join app.site s on s.org_id = p.org_id and s.id = p.site_id
                     where p.site_id = any($1) and p.run = s.run and p.kind = 'page') p
             group by p.site_id""",
        list(site_ids),
    )
    return {row["site_id"]: Counts(**{k: v for k, v in row.items() if k != "site_id"}) for row in rows}


async def list_pages(
    session: Session, site_id: UUID, state: str | None, offset: int, limit: int
) -> list[SitePage]:
    rows = await session.fetch(
        f"""select {_PAGE} from {_JOINED} join app.site s on s.org_id = p.org_id and s.id = p.site_id
             where p.site_id = $1 and p.run = s.run and {_SHOWN} and ($2::text is null or {_STATE} = $2)
             order by p.kind, p.depth, p.url offset $3 limit $4""",
        site_id,
        state,
        offset,
        limit,
    )
    return [SitePage(**dict(row)) for row in rows]


async def count_listed(session: Session, site_id: UUID, state: str | None) -> int:
    count: int = await session.fetchval(
        f"""select count(*) from {_JOINED} join app.site s on s.org_id = p.org_id and s.id = p.site_id
             where p.site_id = $1 and p.run = s.run and {_SHOWN} and ($2::text is null or {_STATE} = $2)""",
        site_id,
        state,
    )
    return count


async def page_pages(
    session: Session, site_id: UUID, page: Page, state: str | None
) -> list[tuple[SitePage, datetime]]:
    """Return pages of the latest run, each with when it was first found."""
    rows = await session.fetch(
        f"""select * from (
              select {_PAGE}, p.created_at
                from {_JOINED} join app.site s on s.org_id = p.org_id and s.id = p.site_id
               where p.site_id = $1 and p.run = s.run and {_SHOWN} and ($2::text is null or {_STATE} = $2)) p
             where {page.clause(3)}""",
        site_id,
        state,
        *page.args,
    )
    return [(SitePage(**{k: v for k, v in r.items() if k != "created_at"}), r["created_at"]) for r in rows]


async def update_site(
    session: Session, site_id: UUID, values: Mapping[str, object], next_at: datetime | None
) -> None:
    await session.execute(
        """update app.site set depth = $2, page_limit = $3, every = $4, next_at = $5, version = version + 1,
                               updated_at = now() where id = $1""",
        site_id,
        values["depth"],
        values["page_limit"],
        values["every"],
        next_at,
    )


async def begin_run(session: Session, site: Site, next_at: datetime | None) -> None:
    """Begin the next reading: all that is known, and not gone, is looked at again."""
    await session.execute(
        """update app.site set state = 'queued', error_code = null, run = run + 1, claim = claim + 1,
                               robots = null, next_at = $2, started_at = null, finished_at = null,
                               updated_at = now() where id = $1""",
        site.id,
        next_at,
    )
    await session.execute(
        """update app.site_page set run = $2, state = 'waiting', reason = null, attempts = 0
            where site_id = $1 and kind = 'page' and state <> 'gone' and depth <= $3""",
        site.id,
        site.run + 1,
        site.depth,
    )


async def mark_deleted(session: Session, site_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            """update app.site set deleted_at = now(), claim = claim + 1, next_at = null, updated_at = now()
                where id = $1 and deleted_at is null returning true""",
            site_id,
        )
    )


async def is_deleted(session: Session, site_id: UUID) -> bool:
    return bool(await session.fetchval("select deleted_at is not null from app.site where id = $1", site_id))


async def delete_site(session: Session, site_id: UUID) -> None:
    await session.execute("delete from app.site where id = $1 and deleted_at is not null", site_id)


async def delete_some_pages(session: Session, site_id: UUID, most: int, *, before_run: int | None) -> int:
    """Delete pages with their documents: those that no reading since `before_run` has seen; None: any."""
    pages = await session.fetch(
        """select id from app.site_page where site_id = $1 and ($2::int is null or run < $2)
            order by id limit $3 for update""",
        site_id,
        before_run,
        most,
    )
    ids = [row["id"] for row in pages]
    await _hold_documents(session, "page_id = any($1::uuid[])", ids)
    await session.execute("delete from app.site_page where id = any($1::uuid[])", ids)
    return len(ids)


async def delete_some_documents(session: Session, site_id: UUID, run: int, most: int) -> int:
    """Delete documents of pages that this run leaves out."""
    left_out = """(org_id, id) in (
        select d.org_id, d.id
          from app.site_page p join app.document d on d.org_id = p.org_id and d.page_id = p.id
         where p.site_id = $1 and p.run = $2 and p.state = 'skipped' order by d.id limit $3)"""
    ids = await _hold_documents(session, left_out, site_id, run, most)
    await session.execute("delete from app.document where id = any($1::uuid[])", ids)
    return len(ids)


async def _hold_documents(session: Session, where: str, *args: object) -> list[UUID]:
    """Lock documents before the first is deleted, which takes the graph's lock: who records one of them has
    the document and waits for that.
    """
    rows = await session.fetch(f"select id from app.document where {where} order by id for update", *args)
    return [row["id"] for row in rows]


async def claim_site(session: Session, site_id: UUID) -> tuple[Site, str | None] | None:
    """Take a reading that is not over, and what its robots.txt said; whoever had it finds it taken."""
    row = await session.fetchrow(
        f"""update app.site set state = 'running', claim = claim + 1, updated_at = now(),
                                started_at = coalesce(started_at, now())
             where id = $1 and state in ('queued', 'running') and deleted_at is null
            returning {_SITE}, robots""",
        site_id,
    )
    if row is None:
        return None
    return _site({name: value for name, value in row.items() if name != "robots"}), row["robots"]


async def hold_claim(session: Session, site: Site) -> bool:
    """Keep the reading until the commit. False if it is another's, over, or the site is deleted."""
    return bool(
        await session.fetchval(
            """update app.site set updated_at = now()
                where id = $1 and claim = $2 and state = 'running' and deleted_at is null returning true""",
            site.id,
            site.claim,
        )
    )


async def keep_robots(session: Session, site: Site, robots: str) -> None:
    await session.execute("update app.site set robots = $2 where id = $1", site.id, robots)


async def finish_site(
    session: Session, site_id: UUID, claim: int | None, state: str, error_code: str | None
) -> bool:
    """End a reading; None: whoever has it."""
    return bool(
        await session.fetchval(
            """update app.site set state = $3, error_code = $4, finished_at = now(), updated_at = now()
                where id = $1 and ($2::int is null or claim = $2) and state in ('queued', 'running')
               returning true""",
            site_id,
            claim,
            state,
            error_code,
        )
    )


async def note_found(
    session: Session, site: Site, kind: Literal["page", "sitemap"], urls: Sequence[str], *, depth: int
) -> None:
    """Put addresses that this run has not seen yet in its line, in their order, as far as there is room.

    The caller holds the claim, so no two do so at once.
    """
    await session.execute(
        """insert into app.site_page (id, site_id, kind, url, depth, run)
           select * from (
             select n.id, $1::uuid, $2, n.url, $5::smallint, $6::int
               from unnest($3::uuid[], $4::text[]) with ordinality as n (id, url, place)
              where not exists (select from app.site_page p
                                 where p.site_id = $1 and p.url = n.url and p.run = $6)
              order by n.place
              limit greatest($7 - (select count(*) from app.site_page
                                    where site_id = $1 and run = $6 and kind = $2), 0)) added
           on conflict (org_id, site_id, url) do update
              set run = excluded.run, kind = excluded.kind, depth = excluded.depth, state = 'waiting',
                  reason = null, attempts = 0""",
        site.id,
        kind,
        sorted(new_id() for _ in urls),  # within a millisecond they are in no order
        list(urls),
        depth,
        site.run,
        site.found_max if kind == "page" else SITEMAPS_PER_RUN,
    )


async def claim_page(session: Session, site: Site) -> Claimed | None:
    """Begin an attempt at the next address of the line: sitemaps first, then what is nearest to the start."""
    row = await session.fetchrow(
        """with next as (
             select org_id, id from app.site_page where site_id = $1 and run = $2 and state = 'waiting'
              order by kind desc, depth, id limit 1
           ), begun as (
             update app.site_page p set attempts = p.attempts + 1 from next
              where p.org_id = next.org_id and p.id = next.id
             returning p.org_id, p.id, p.kind, p.url, p.depth, p.attempts, p.etag, p.modified, p.digest
           )
           select b.id, b.kind, b.url, b.depth, b.attempts,
                  case when d.status <> 'failed' then b.etag else '' end as etag,
                  case when d.status <> 'failed' then b.modified else '' end as modified,
                  case when d.status <> 'failed' then b.digest else '' end as digest
             from begun b left join app.document d on d.org_id = b.org_id and d.page_id = b.id""",
        site.id,
        site.run,
    )
    if row is None:
        return None
    return Claimed(**dict(row))


async def count_kept(session: Session, site: Site) -> int:
    """Return how many pages of this run count against its limit."""
    count: int = await session.fetchval(
        """select count(*) from app.site_page
            where site_id = $1 and run = $2 and kind = 'page'
              and state in ('taken', 'unchanged', 'failed')""",
        site.id,
        site.run,
    )
    return count


async def end_waiting(session: Session, site_id: UUID, state: str, reason: str) -> None:
    """Settle all that the latest run will not come to."""
    await session.execute(
        """update app.site_page p set state = $2, reason = $3 from app.site s
            where p.site_id = $1 and s.org_id = p.org_id and s.id = p.site_id and p.run = s.run
              and p.state = 'waiting'""",
        site_id,
        state,
        reason,
    )


async def settle_page(session: Session, page_id: UUID, visit: Visit) -> None:
    """Record what came of a page. Of what was not taken nothing is left to compare with later."""
    content = visit.content
    await session.execute(
        """update app.site_page
              set state = $2, reason = $3, http_status = $4, checked_at = now(),
                  title = coalesce($5, title),
                  digest = case when $2 in ('unchanged', 'failed', 'waiting') then coalesce($6, digest)
                                else coalesce($6, '') end,
                  etag = case when $2 in ('unchanged', 'failed', 'waiting') then coalesce($7, etag)
                              else coalesce($7, '') end,
                  modified = case when $2 in ('unchanged', 'failed', 'waiting') then coalesce($8, modified)
                                  else coalesce($8, '') end
            where id = $1""",
        page_id,
        visit.state,
        visit.reason,
        visit.http_status,
        content.title if content else None,
        content.digest if content else None,
        content.etag if content else None,
        content.modified if content else None,
    )


async def is_instead(session: Session, site: Site, url: str, of: UUID) -> bool:
    """Whether the page of this address was itself left out for another one: then `of` must not be for it."""
    return bool(
        await session.fetchval(
            """select exists (select from app.site_page where site_id = $1 and url = $2 and run = $3
                                 and id <> $4 and state = 'skipped'
                                 and reason in ('canonical', 'redirected'))""",
            site.id,
            url,
            site.run,
            of,
        )
    )


async def has_twin(session: Session, site: Site, page_id: UUID, digest: str) -> bool:
    """Whether another page of this run that is taken, or was before, says the same."""
    return bool(
        await session.fetchval(
            """select exists (select from app.site_page p join app.document d on d.page_id = p.id
                               where p.site_id = $1 and p.run = $2 and p.digest = $3 and p.id <> $4)""",
            site.id,
            site.run,
            digest,
            page_id,
        )
    )


async def drop_document(session: Session, page_id: UUID) -> None:
    await session.execute("delete from app.document where page_id = $1", page_id)


async def put_document(session: Session, page_id: UUID, url: str, content: Content, now: datetime) -> UUID:
    """Give the page's document these bytes; what it says until they are read stays. Returns its id.

    The bytes it had are left to be discarded.
    """
    row = await session.fetchrow(
        """with old as (
             select id, blob_key from app.document where page_id = $1
           ), spare as (
             insert into app.file_garbage (key) select blob_key from old on conflict do nothing
           )
           insert into app.document as d (id, page_id, url, title, file_name, mime, size_bytes, sha256,
                                          blob_key, created_at, updated_at)
           values ($2, $1, $3, $4, $5, $6, $7, $8, $9, $10, $10)
           on conflict (org_id, page_id) where page_id is not null do update
              set url = excluded.url, title = excluded.title, file_name = excluded.file_name,
                  mime = excluded.mime, size_bytes = excluded.size_bytes, sha256 = excluded.sha256,
                  blob_key = excluded.blob_key, status = 'pending', progress = 0, error_code = null,
                  attempts = d.attempts + 1, expected_at = null, unread = '[]',
                  updated_at = excluded.updated_at
           returning d.id""",
        page_id,
        new_id(),
        url,
        content.title,
        content.file_name,
        content.mime,
        content.size_bytes,
        content.sha256,
        content.blob_key,
        now,
    )
    if row is None:
        raise LookupError("the statement returns one row")
    found: UUID = row["id"]
    return found


async def first_reason(session: Session, site: Site) -> str | None:
    """Return why the page the run began at was not taken."""
    reason: str | None = await session.fetchval(
        """select reason from app.site_page where site_id = $1 and run = $2 and kind = 'page'
            order by depth, id limit 1""",
        site.id,
        site.run,
    )
    return reason


async def sites_to_crawl(session: Session, stale: timedelta, most: int) -> list[asyncpg.Record]:
    return await session.fetch("select * from app.sites_to_crawl($1, $2)", stale, most)


async def is_due(session: Session, site_id: UUID, stale: timedelta) -> bool:
    """Tell under the site's lock what `sites_to_crawl` told before."""
    return bool(
        await session.fetchval(
            """select next_at <= now()
                      and (state not in ('queued', 'running') or updated_at < now() - $2::interval)
                 from app.site where id = $1 and deleted_at is null""",
            site_id,
            stale,
        )
    )


def _site(row: asyncpg.Record | Mapping[str, Any]) -> Site:
    values = dict(row)
    return Site(**values | {"categories": tuple(values["categories"])})
