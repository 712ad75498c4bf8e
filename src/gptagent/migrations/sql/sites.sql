-- Sites that are read into the knowledge base. A row is also its latest reading: `run` numbers the readings, and
-- `claim` rises with each worker that takes one, so that an earlier one finds out that it is no longer its own.
-- `robots` is what the site's robots.txt said in this run; null until it was read.
create table app.site (
  org_id uuid not null default app.org(),
  id uuid not null,
  kind text not null check (kind in ('page', 'site')),
  url text not null check (length(url) between 1 and 1500),
  depth smallint not null check (depth between 0 and 10),
  page_limit integer not null check (page_limit between 1 and 2000),
  every text not null check (every in ('none', 'daily', 'weekly')),
  state text not null default 'queued' check (state in ('queued', 'running', 'completed', 'failed')),
  error_code text,
  run integer not null default 1,
  claim integer not null default 0,
  robots text,
  version integer not null default 1,
  next_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  deleted_at timestamptz, -- its pages go in small steps, the row with the last of them
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id)
);
create unique index site_url on app.site (org_id, url) where deleted_at is null;
create index site_due on app.site (next_at) where next_at is not null;
create index site_deleted on app.site (deleted_at) where deleted_at is not null;
call app.protect('app.site', lookup => true);

-- The line of a reading, and what became of each address. One that this run has not seen has an earlier `run`.
create table app.site_page (
  org_id uuid not null default app.org(),
  id uuid not null,
  site_id uuid not null,
  kind text not null check (kind in ('page', 'sitemap')),
  url text not null check (length(url) between 1 and 1500),
  depth smallint not null,
  run integer not null,
  state text not null default 'waiting'
    check (state in ('waiting', 'taken', 'unchanged', 'failed', 'refused', 'skipped', 'gone')),
  reason text,
  http_status smallint,
  attempts smallint not null default 0,
  title text not null default '',
  etag text not null default '',
  modified text not null default '',
  digest text not null default '',
  checked_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, site_id, url),
  foreign key (org_id, site_id) references app.site on delete cascade
);
create index site_page_line on app.site_page (org_id, site_id, run, state, kind desc, depth, id);
create index site_page_digest on app.site_page (org_id, site_id, digest);
call app.protect('app.site_page');

-- A page's document: it goes with the page, and its bytes are discarded.
alter table app.document
  add column page_id uuid,
  add column url text,
  add foreign key (org_id, page_id) references app.site_page (org_id, id) on delete cascade;
create unique index document_page on app.document (org_id, page_id) where page_id is not null;
create trigger document_discarded after delete on app.document for each row
  when (old.page_id is not null) execute function app.discard_attachment();

-- Whose reading is due, or whose deletion was interrupted. With those under way there are never more than `most`.
create function app.sites_to_crawl(stale interval, most integer)
returns table (org_id uuid, site_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  (select s.org_id, s.id from app.site s where s.deleted_at is not null and s.updated_at < now() - stale limit most)
  union all
  (select s.org_id, s.id from app.site s join app.organization o on o.id = s.org_id
    where s.next_at <= now() and s.deleted_at is null
      and o.delete_at is null and o.suspended_at is null
      and (s.state not in ('queued', 'running') or s.updated_at < now() - stale)
    order by s.next_at, s.id
    limit greatest(most - (select count(*) from app.site r
                            where r.state in ('queued', 'running') and r.updated_at > now() - stale), 0))
$$;
