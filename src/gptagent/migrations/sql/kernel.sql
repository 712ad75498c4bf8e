-- Tenancy. After a transaction with `set local` the setting is '', not NULL: nullif is needed.
create function app.org() returns uuid language sql stable parallel safe as
  $$ select nullif(current_setting('app.org_id', true), '')::uuid $$;
create function app.person() returns uuid language sql stable parallel safe as
  $$ select nullif(current_setting('app.person_id', true), '')::uuid $$;

-- Puts a table under forced row-level security by its org_id. Force binds the owner as well, so a table that a
-- SECURITY DEFINER function must search before the tenant is known says so with `lookup`.
create procedure app.protect(t regclass, lookup boolean default false) language plpgsql as $$
begin
  execute format('alter table %s enable row level security', t);
  execute format('alter table %s force row level security', t);
  execute format('create policy tenant on %s using (org_id = (select app.org()))
                  with check (org_id = (select app.org()))', t);
  if lookup then
    execute format('create policy lookup on %s to current_user using (true) with check (true)', t);
  end if;
end $$;

create table app.live_event (
  id bigint generated always as identity primary key,
  org_id uuid not null default app.org(),
  topic text not null,
  kind text not null,
  ids jsonb not null,
  created_at timestamptz not null default now()
);
create index live_event_org on app.live_event (org_id, id);
create index live_event_age on app.live_event (created_at);
call app.protect('app.live_event', lookup => true);

-- One row of facts about this installation: which keys sealed its secrets, when it was set up.
create table app.installation (
  only_one boolean primary key default true check (only_one),
  key_fingerprint text not null,
  created_at timestamptz not null default now()
);

-- Housekeeping over all tenants: what is deleted is past its use for everybody.
create function app.forget_old(live_age interval, log_age interval) returns bigint
language plpgsql security definer set search_path = app, jobs, pg_temp as $$
declare gone bigint;
begin
  delete from app.live_event where created_at < now() - live_age;
  get diagnostics gone = row_count;
  delete from jobs.pgqueuer_log l where l.created < now() - log_age
     and not exists (select from jobs.pgqueuer j where j.id = l.job_id);
  return gone;
end $$;
