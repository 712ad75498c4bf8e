-- What was published of an agent, when and by whom. Turns use the settings of app.agent, which are those of the version
-- `published`; `draft` are changed ones that nobody gets yet.
create table app.agent_version (
  org_id uuid not null default app.org(),
  agent_id uuid not null,
  number integer not null check (number > 0),
  settings jsonb not null check (jsonb_typeof(settings) = 'object'),
  note text not null default '' check (length(note) <= 500),
  restored_from integer,       -- the version that was published anew
  actor_kind text,             -- null: older than this record, or by the release before it
  actor_id uuid,
  created_at timestamptz not null default now(),
  primary key (org_id, agent_id, number),
  -- A version is written before its agent: whoever writes the agent first finds it there.
  foreign key (org_id, agent_id) references app.agent on delete cascade deferrable initially deferred
);

alter table app.agent
  add column published integer not null default 1 check (published > 0),
  add column draft jsonb check (jsonb_typeof(draft) = 'object');

alter table app.agent no force row level security;
insert into app.agent_version (org_id, agent_id, number, settings, created_at)
  select org_id, id, 1, settings, updated_at from app.agent;
set constraints all immediate; -- a table whose references wait to be looked at is not altered
alter table app.agent force row level security;
call app.protect('app.agent_version');

-- Whoever writes agents writes versions by the trigger below, from this commit on: rights to all that is new are given
-- after the last migration, and the release before runs meanwhile.
do $$
declare
  writer record;
begin
  for writer in select a.grantee::regrole as role from pg_class c, aclexplode(c.relacl) a
                 where c.oid = 'app.agent'::regclass and a.privilege_type = 'INSERT'
                   and a.grantee not in (0, c.relowner) loop
    execute format('grant select, insert, update, delete on app.agent_version to %s', writer.role);
  end loop;
end $$;

-- Which version of its agent answered.
alter table app.turn add column agent_version integer;

-- While two releases run, the one before writes settings and knows of no versions: each becomes one all the same.
-- It comes after join_settings, by its name, and so sees the settings as they will be.
create function app.number_version() returns trigger language plpgsql as $$
begin
  if new.settings is distinct from old.settings and new.published = old.published then
    new.published := old.published + 1;
  end if;
  return new;
end $$;
create trigger number_version before update on app.agent for each row execute function app.number_version();

create function app.keep_version() returns trigger language plpgsql as $$
begin
  insert into app.agent_version (org_id, agent_id, number, settings)
    values (new.org_id, new.id, new.published, new.settings)
    on conflict do nothing;
  return new;
end $$;
create trigger keep_version after insert or update of settings, instructions, model, creativity,
                                   response_delay_seconds, not_found_text, not_found_task, remembers_customers
  on app.agent for each row execute function app.keep_version();

-- A version that was published stays as it was.
create function app.version_stays() returns trigger language plpgsql as $$
begin
  raise exception 'a version of an agent is never changed';
end $$;
create trigger version_stays before update on app.agent_version
  for each row execute function app.version_stays();
