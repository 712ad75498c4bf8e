-- What a model is told about the company with a question: facts, each for every agent or for chosen ones, for every stage
-- of a deal or for chosen ones.
create table app.company_fact (
  org_id uuid not null default app.org(),
  id uuid not null,
  content text not null check (length(content) between 1 and 4000),
  is_global boolean not null,      -- else of its agents, who may all be gone
  is_everywhere boolean not null,  -- else at its stages, which may all be gone
  priority smallint not null check (priority between 1 and 100),
  used integer not null default 0,
  used_at timestamptz,
  is_old_text boolean not null default false,  -- what app.company_facts says, until it is changed here
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id)
);
create unique index company_fact_old_text on app.company_fact (org_id) where is_old_text;
create index company_fact_order on app.company_fact (org_id, priority, used desc, id);
call app.protect('app.company_fact');

create table app.company_fact_agent (
  org_id uuid not null default app.org(),
  fact_id uuid not null,
  agent_id uuid not null,
  primary key (org_id, fact_id, agent_id),
  foreign key (org_id, fact_id) references app.company_fact (org_id, id) on delete cascade,
  foreign key (org_id, agent_id) references app.agent (org_id, id) on delete cascade
);
create index company_fact_agent_agent on app.company_fact_agent (org_id, agent_id);
call app.protect('app.company_fact_agent');

create table app.company_fact_stage (
  org_id uuid not null default app.org(),
  fact_id uuid not null,
  connection_id uuid not null,
  pipeline_id bigint not null,
  stage_id bigint not null,
  primary key (org_id, fact_id, connection_id, pipeline_id, stage_id),
  foreign key (org_id, fact_id) references app.company_fact (org_id, id) on delete cascade,
  foreign key (org_id, connection_id) references app.crm_connection (org_id, id) on delete cascade
);
create index company_fact_stage_connection on app.company_fact_stage (org_id, connection_id);
call app.protect('app.company_fact_stage');

-- The release before knows one text only, and may still write it: its fact follows until it is changed as one.
create function app.carry_company_facts() returns trigger language plpgsql as $$
begin
  if new.content = '' then
    delete from app.company_fact where org_id = new.org_id and is_old_text;
  else
    insert into app.company_fact as f
      (org_id, id, content, is_global, is_everywhere, priority, is_old_text, created_at, updated_at)
    values (new.org_id, gen_random_uuid(), new.content, true, true, 50, true, new.updated_at, new.updated_at)
    on conflict (org_id) where is_old_text do update
      set content = excluded.content, version = f.version + 1, updated_at = excluded.updated_at
      where f.content <> excluded.content;
  end if;
  return null;
end $$;
create trigger facts_carried after insert or update on app.company_facts
  for each row execute function app.carry_company_facts();

-- What is there already. Forced row-level security hides it from the owner too, so it is lifted for a moment; nothing
-- is written between the trigger above and this, which holds the table.
alter table app.company_facts no force row level security;
alter table app.company_fact no force row level security;
insert into app.company_fact
  (org_id, id, content, is_global, is_everywhere, priority, is_old_text, version, created_at, updated_at)
select org_id, gen_random_uuid(), content, true, true, 50, true, version, updated_at, updated_at
  from app.company_facts where content <> '';
alter table app.company_fact force row level security;
alter table app.company_facts force row level security;

create trigger facts_written after insert on app.company_fact
  referencing new table as changed for each statement execute function app.note_base_change('facts');
create trigger facts_removed after delete on app.company_fact
  referencing old table as changed for each statement execute function app.note_base_change('facts');
-- Only what they say is looked at by a check, not how often they are used.
create function app.note_facts_changed() returns trigger language plpgsql as $$
begin
  insert into app.base_change (org_id, part, changed_at) values (new.org_id, 'facts', clock_timestamp())
  on conflict (org_id, part) do update set changed_at = excluded.changed_at;
  return null;
end $$;
create trigger facts_changed after update of content on app.company_fact
  for each row when (old.content <> new.content) execute function app.note_facts_changed();
