-- How often a passage's reading has failed. A reading that was let go, or whose worker was killed, has not: `attempts`
-- only fences readings off from each other.
alter table app.graph_reading add failures integer not null default 0;

-- By which words of a question a name is heard: as passages' words are counted. It is looked up by the first of them.
alter table app.graph_alias add lexemes text[] not null generated always as (
  tsvector_to_array(to_tsvector('russian', regexp_replace(key, '[-‐‑–—/_.,:;#+]+', ' ', 'g')))) stored;
create index graph_alias_word on app.graph_alias (org_id, (lexemes[1]));

-- What the graph's names were measured to add to the search of this base. Questions are put to them if `is_used`.
create table app.graph_benefit (
  org_id uuid not null primary key default app.org(),
  is_used boolean not null default false,
  sample_size integer,                    -- null: never measured
  named integer not null default 0,       -- questions of the sample that call something by another of its names
  recall_without real not null default 0,
  recall_with real not null default 0,
  mrr_without real not null default 0,
  mrr_with real not null default 0,
  measured_at timestamptz,                -- when the measurement began
  base_changes bigint not null default 0, -- app.lexical_stats.changes at that time
  changed_at timestamptz not null,        -- of the names
  queued_at timestamptz                   -- a measurement waits or is under way since
);
call app.protect('app.graph_benefit', lookup => true);
insert into app.graph_benefit (org_id, changed_at) select org_id, now() from app.lexical_stats where chunks > 0;

-- Whoever changes names holds the graph's lock, so that this row is always locked after it. Rows of a workspace that is
-- being deleted are not made anew.
create function app.graph_names_changed() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    update app.graph_benefit set changed_at = now() where org_id = app.org() and changed_at <> now();
  else
    insert into app.graph_benefit as b (org_id, changed_at) values (app.org(), now())
    on conflict (org_id) do update set changed_at = excluded.changed_at where b.changed_at <> excluded.changed_at;
  end if;
  return null;
end $$;
create trigger graph_alias_changed after insert or delete or update of key, entity_id on app.graph_alias
  for each statement execute function app.graph_names_changed();

-- Bases whose names, passages or saved questions have changed since they were measured, and are at rest since `rest`.
create policy lookup on app.knowledge_question for select to current_user using (true);
create function app.graphs_to_measure(rest interval, most integer) returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select b.org_id from app.graph_benefit b
         join app.organization o on o.id = b.org_id and o.delete_at is null and o.suspended_at is null
         join app.lexical_stats s on s.org_id = b.org_id and s.chunks > 0
   where b.changed_at < now() - rest and s.changed_at < now() - rest
     and (b.queued_at is null or b.queued_at < now() - interval '1 hour')
     and (b.measured_at is null or b.changed_at > b.measured_at
          or s.changes - b.base_changes >= greatest(1, s.chunks / 20)
          or exists (select from app.knowledge_question q where q.org_id = b.org_id and q.updated_at > b.measured_at))
   order by b.changed_at limit most
$$;

-- What goes with passages goes after everybody who writes to the graph, and before anybody else does: what a reader has
-- just found a second passage for is not forgotten with the first. The lock is taken before any passage is, for who
-- deletes two sources would else hold it and wait for a reader that waits for it.
create function app.graph_lock() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('graph ' || app.org()::text, 0));
  return null;
end $$;
create trigger chunk_removed_graph before delete on app.chunk
  for each statement execute function app.graph_lock();
