-- When each base changed last. Kept apart from the state of its check: whoever changes passages holds the row until the
-- commit, and a check that is going on tells how far it is meanwhile. Facts have a row of their own: writing them does
-- not wait for a document that is being recorded.
create table app.base_change (
  org_id uuid not null default app.org(),
  part text not null check (part in ('passages', 'facts')),
  changed_at timestamptz not null,
  primary key (org_id, part)
);
call app.protect('app.base_change', lookup => true);

create function app.note_base_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    update app.base_change b set changed_at = clock_timestamp() from (select distinct org_id from changed) c
     where b.org_id = c.org_id and b.part = tg_argv[0];
  else
    insert into app.base_change (org_id, part, changed_at)
    select org_id, tg_argv[0], clock_timestamp() from (select distinct org_id from changed) c
    on conflict (org_id, part) do update set changed_at = excluded.changed_at;
  end if;
  return null;
end $$;
create trigger base_grown after insert on app.chunk
  referencing new table as changed for each statement execute function app.note_base_change('passages');
create trigger base_shrunk after delete on app.chunk
  referencing old table as changed for each statement execute function app.note_base_change('passages');
create trigger facts_written after insert on app.company_facts
  referencing new table as changed for each statement execute function app.note_base_change('facts');
create trigger facts_changed after update on app.company_facts
  referencing new table as changed for each statement execute function app.note_base_change('facts');

-- The latest check of a base for contradictions and stale facts.
create table app.base_check (
  org_id uuid not null primary key default app.org(),
  state text not null check (state in ('queued', 'running', 'done', 'failed')),
  asked_at timestamptz not null,
  began_at timestamptz,
  ended_at timestamptz,
  updated_at timestamptz not null,
  passages integer not null default 0,      -- to be read in this check
  passages_read integer not null default 0,
  statements integer not null default 0,    -- held against each other in the last check that ended
  left_out integer not null default 0       -- statements or pairs beyond what one check takes
);
call app.protect('app.base_check', lookup => true);

-- What a passage says in numbers: the subject's lexemes, the unit and the values. Without a passage: the company's facts.
create table app.statement (
  id bigint not null generated always as identity,
  org_id uuid not null default app.org(),
  chunk_id bigint,
  sentence text not null,
  unit text not null,
  amounts text[] not null,
  words text[] not null,
  promises boolean not null,
  primary key (org_id, id),
  foreign key (org_id, chunk_id) references app.chunk (org_id, id) on delete cascade
);
create index statement_chunk on app.statement (org_id, chunk_id);
call app.protect('app.statement');

-- Passages whose statements are taken: a check reads only what is new.
create table app.checked_chunk (
  org_id uuid not null default app.org(),
  chunk_id bigint not null,
  primary key (org_id, chunk_id),
  foreign key (org_id, chunk_id) references app.chunk (org_id, id) on delete cascade
);
call app.protect('app.checked_chunk');

-- What a check has found. A side without article and document is the company's facts. `fingerprint` is of the sides'
-- sources and sentences: what was dismissed stays so until one of them changes.
create table app.finding (
  org_id uuid not null default app.org(),
  id uuid not null,
  kind text not null check (kind in ('contradiction', 'past_date', 'old_price')),
  fingerprint text not null,
  rank real not null,
  unit text not null,
  article_id uuid,
  document_id uuid,
  sentence text not null,
  amounts text[] not null,
  other_article_id uuid,
  other_document_id uuid,
  other_sentence text,
  other_amounts text[] not null default '{}',
  is_dismissed boolean not null default false,
  found_at timestamptz not null,
  checked_at timestamptz not null,
  primary key (org_id, id),
  unique (org_id, fingerprint),
  foreign key (org_id, article_id) references app.article (org_id, id) on delete cascade,
  foreign key (org_id, document_id) references app.document (org_id, id) on delete cascade,
  foreign key (org_id, other_article_id) references app.article (org_id, id) on delete cascade,
  foreign key (org_id, other_document_id) references app.document (org_id, id) on delete cascade,
  check ((other_sentence is not null) = (kind = 'contradiction'))
);
create index finding_article on app.finding (org_id, article_id) where article_id is not null;
create index finding_document on app.finding (org_id, document_id) where document_id is not null;
create index finding_other_article on app.finding (org_id, other_article_id) where other_article_id is not null;
create index finding_other_document on app.finding (org_id, other_document_id) where other_document_id is not null;
call app.protect('app.finding');

-- Bases that have changed since their last check began and are quiet by now; those at rest once a day, for days pass. A check that has not moved for `stale` was
-- lost with its worker.
create function app.checks_due(quiet interval, stale interval, most integer) returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select c.org_id
    from (select b.org_id, max(b.changed_at) as changed_at from app.base_change b group by b.org_id) c
         join app.organization o on o.id = c.org_id
         left join app.base_check s on s.org_id = c.org_id
   where c.changed_at < now() - quiet and o.delete_at is null and o.suspended_at is null
     and (s.began_at is null or s.began_at < c.changed_at or s.began_at < now() - interval '1 day')
     and (s.state is null or s.state not in ('queued', 'running') or s.updated_at < now() - stale)
   order by c.changed_at limit most
$$;

-- Bases that are there already are checked once. Forced row-level security hides them from the owner too.
alter table app.lexical_stats no force row level security;
alter table app.base_change no force row level security;
insert into app.base_change (org_id, part, changed_at) select org_id, 'passages', now() from app.lexical_stats;
alter table app.base_change force row level security;
alter table app.lexical_stats force row level security;
