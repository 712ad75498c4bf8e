-- What the base speaks of, and how it hangs together. A name, a fact or a relation is here as long as a passage
-- supports it or a person has said so: the trigger below takes away what the last passage has left.
create table app.graph_entity (
  id uuid not null,
  org_id uuid not null default app.org(),
  type text not null,
  name text not null check (length(name) between 1 and 200),
  confidence real not null,
  is_corrected boolean not null default false, -- by a person: reading anew does not touch it
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id)
);
create index graph_entity_type on app.graph_entity (org_id, type, lower(name));
call app.protect('app.graph_entity');

-- Under which type and normalised name an entity is found again. The first one gives the entity its name.
create table app.graph_alias (
  id bigint not null generated always as identity,
  org_id uuid not null default app.org(),
  entity_id uuid not null,
  type text not null,
  key text not null,
  name text not null,
  is_main boolean not null default false,
  is_corrected boolean not null default false,
  primary key (org_id, id),
  unique (org_id, type, key),
  foreign key (org_id, entity_id) references app.graph_entity (org_id, id) on delete cascade
);
create index graph_alias_entity on app.graph_alias (org_id, entity_id);
call app.protect('app.graph_alias');

-- Entities that a person has deleted, by a digest of type and normalised name: they are not read again.
create table app.graph_ignored (
  org_id uuid not null default app.org(),
  digest text not null,
  primary key (org_id, digest)
);
call app.protect('app.graph_ignored');

-- `digest` is of what was read first, so that reading it again neither doubles nor undoes a person's correction.
create table app.graph_fact (
  id uuid not null,
  org_id uuid not null default app.org(),
  entity_id uuid not null,
  attribute text not null,
  value text not null,
  valid_from date,
  valid_until date,
  digest text not null,
  is_corrected boolean not null default false,
  is_removed boolean not null default false,
  primary key (org_id, id),
  unique (org_id, entity_id, digest),
  foreign key (org_id, entity_id) references app.graph_entity (org_id, id) on delete cascade
);
call app.protect('app.graph_fact');

create table app.graph_relation (
  id uuid not null,
  org_id uuid not null default app.org(),
  source_id uuid not null,
  kind text not null,
  target_id uuid not null,
  primary key (org_id, id),
  unique (org_id, source_id, kind, target_id),
  foreign key (org_id, source_id) references app.graph_entity (org_id, id) on delete cascade,
  foreign key (org_id, target_id) references app.graph_entity (org_id, id) on delete cascade,
  check (source_id <> target_id)
);
create index graph_relation_target on app.graph_relation (org_id, target_id);
call app.protect('app.graph_relation');

-- Which passage says it, how sure that is (0-1) and, of an alias, how it is written there.
create table app.graph_support (
  id bigint not null generated always as identity,
  org_id uuid not null default app.org(),
  chunk_id bigint not null,
  alias_id bigint,
  fact_id uuid,
  relation_id uuid,
  name text not null default '',
  confidence real not null,
  primary key (org_id, id),
  unique nulls not distinct (org_id, chunk_id, alias_id, fact_id, relation_id),
  foreign key (org_id, chunk_id) references app.chunk (org_id, id) on delete cascade,
  foreign key (org_id, alias_id) references app.graph_alias (org_id, id) on delete cascade,
  foreign key (org_id, fact_id) references app.graph_fact (org_id, id) on delete cascade,
  foreign key (org_id, relation_id) references app.graph_relation (org_id, id) on delete cascade,
  check (num_nonnulls(alias_id, fact_id, relation_id) = 1)
);
create index graph_support_alias on app.graph_support (org_id, alias_id);
create index graph_support_fact on app.graph_support (org_id, fact_id);
create index graph_support_relation on app.graph_support (org_id, relation_id);
call app.protect('app.graph_support');

-- How far the reading of each passage is; a passage without a row waits for its first one.
create table app.graph_reading (
  org_id uuid not null default app.org(),
  chunk_id bigint not null,
  state text not null check (state in ('waiting', 'running', 'done', 'failed')),
  method text not null default '',
  attempts integer not null default 0,
  is_alone boolean not null default false, -- a batch with it has failed: it is asked about by itself
  error_code text check (error_code is not null or state <> 'failed'), -- of the latest try
  claimed_until timestamptz,
  updated_at timestamptz not null,
  primary key (org_id, chunk_id),
  foreign key (org_id, chunk_id) references app.chunk (org_id, id) on delete cascade
);
call app.protect('app.graph_reading');

-- What a day's calls have used, kept when their passages are gone; and what a day's may use.
create table app.graph_usage (
  org_id uuid not null default app.org(),
  day date not null,
  calls integer not null,
  tokens_in bigint not null,
  tokens_out bigint not null,
  primary key (org_id, day)
);
call app.protect('app.graph_usage');

create table app.graph_settings (
  org_id uuid not null primary key default app.org(),
  daily_tokens integer not null check (daily_tokens between 0 and 100000000)
);
call app.protect('app.graph_settings');

create function app.graph_forget() returns trigger language plpgsql as $$
declare touched uuid[];
begin
  if not exists (select from gone) then
    return null;
  end if;
  select array_agg(distinct a.entity_id) into touched
    from gone g join app.graph_alias a on a.org_id = g.org_id and a.id = g.alias_id;
  delete from app.graph_fact f using gone g
   where f.org_id = g.org_id and f.id = g.fact_id and not f.is_corrected and not f.is_removed
     and not exists (select from app.graph_support s where s.org_id = f.org_id and s.fact_id = f.id);
  delete from app.graph_relation r using gone g
   where r.org_id = g.org_id and r.id = g.relation_id
     and not exists (select from app.graph_support s where s.org_id = r.org_id and s.relation_id = r.id);
  delete from app.graph_alias a using gone g
   where a.org_id = g.org_id and a.id = g.alias_id and not a.is_corrected
     and not exists (select from app.graph_support s where s.org_id = a.org_id and s.alias_id = a.id);
  delete from app.graph_entity e using (select distinct org_id from gone) g
   where e.org_id = g.org_id and e.id = any(touched) and not e.is_corrected
     and not exists (select from app.graph_alias a where a.org_id = e.org_id and a.entity_id = e.id)
     and not exists (select from app.graph_fact f
                      where f.org_id = e.org_id and f.entity_id = e.id and f.is_corrected);
  perform app.graph_settle(g.org_id, touched) from (select distinct org_id from gone) g;
  return null;
end $$;

-- A name is the longest way in which passages write it, a confidence the highest of them.
create function app.graph_settle(org uuid, entities uuid[]) returns void language sql as $$
  update app.graph_alias a set name = best.name
    from (select distinct on (s.alias_id) s.alias_id, s.name
            from app.graph_support s join app.graph_alias o on o.org_id = s.org_id and o.id = s.alias_id
           where s.org_id = org and o.entity_id = any(entities)
           order by s.alias_id, length(s.name) desc, s.name) best
   where a.org_id = org and a.id = best.alias_id and not a.is_corrected and a.name <> best.name;
  update app.graph_entity e
     set confidence = coalesce((select max(s.confidence) from app.graph_support s
                                  join app.graph_alias a on a.org_id = s.org_id and a.id = s.alias_id
                                 where a.org_id = org and a.entity_id = e.id), e.confidence),
         name = case when e.is_corrected then e.name else coalesce(
                  (select a.name from app.graph_alias a where a.org_id = org and a.entity_id = e.id
                    order by a.is_main desc, length(a.name) desc, a.name limit 1), e.name) end
   where e.org_id = org and e.id = any(entities);
$$;
create trigger graph_support_removed after delete on app.graph_support
  referencing old table as gone for each statement execute function app.graph_forget();
