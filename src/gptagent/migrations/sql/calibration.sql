-- How much a base has changed: what was measured of it before is worth measuring again after enough of that.
alter table app.lexical_stats
  add changes bigint not null default 0, -- passages that came or went, ever
  add changed_at timestamptz not null default now();

create or replace function app.count_chunks() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into app.lexical_stats as s (org_id, chunks, lexemes, changes, changed_at)
    select org_id, count(*), sum(length), count(*), now() from changed group by org_id
    on conflict (org_id) do update set chunks = s.chunks + excluded.chunks, lexemes = s.lexemes + excluded.lexemes,
      changes = s.changes + excluded.changes, changed_at = excluded.changed_at;
  else
    update app.lexical_stats s
       set chunks = s.chunks - c.chunks, lexemes = s.lexemes - c.lexemes, changes = s.changes + c.chunks,
           changed_at = now()
      from (select org_id, count(*) as chunks, sum(length) as lexemes from changed group by org_id) c
     where s.org_id = c.org_id;
  end if;
  return null;
end $$;

-- A base asked its sample of questions, with their sources and without. The last one that ended says from which support
-- on the base answers.
create table app.knowledge_run (
  id uuid not null,
  org_id uuid not null default app.org(),
  state text not null default 'queued' check (state in ('queued', 'done', 'failed')),
  is_saved boolean not null default false, -- the questions are saved ones, not the base's own
  changes bigint not null,
  questions integer not null default 0,
  threshold double precision,
  figures jsonb not null default '{}',
  results jsonb not null default '[]',
  created_at timestamptz not null,
  ended_at timestamptz,
  primary key (org_id, id)
);
create unique index knowledge_run_queued on app.knowledge_run (org_id) where state = 'queued';
call app.protect('app.knowledge_run', lookup => true);
create policy lookup on app.lexical_stats for select to current_user using (true);

-- Bases that were never measured or changed since, by a twentieth at least, and have been at rest since `rest`.
create function app.bases_to_measure(rest interval, most integer) returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select s.org_id from app.lexical_stats s
         join app.organization o on o.id = s.org_id and o.delete_at is null and o.suspended_at is null
         left join lateral (select r.changes, r.state, r.created_at from app.knowledge_run r
                             where r.org_id = s.org_id order by r.id desc limit 1) r on true
   where s.chunks > 0 and s.changed_at < now() - rest
     and (r.changes is null or s.changes - r.changes >= greatest(1, s.chunks / 20))
     and r.state is distinct from 'queued'
   order by s.changed_at limit most
$$;
