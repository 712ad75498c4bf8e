-- People of the installation. They belong to no tenant: a row is visible to its person only; everything asked
-- before the person is known goes through lookups.sql.
create table app.person (
  id uuid primary key,
  email text not null unique check (email = lower(btrim(email))),
  full_name text not null check (length(full_name) between 1 and 200),
  locale text not null default 'ru',
  is_platform_admin boolean not null default false,
  created_at timestamptz not null default now()
);
create table app.credential (
  person_id uuid primary key references app.person on delete cascade,
  password_hash text not null,
  changed_at timestamptz not null default now()
);
create table app.web_session (
  id uuid primary key,
  person_id uuid not null references app.person on delete cascade,
  token_hash bytea not null unique,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index web_session_person on app.web_session (person_id);
create table app.setup_link (
  token_hash bytea primary key,
  created_at timestamptz not null default now(),
  used_at timestamptz
);

create procedure app.protect_person(t regclass, key text) language plpgsql as $$
begin
  execute format('alter table %s enable row level security', t);
  execute format('alter table %s force row level security', t);
  execute format('create policy self on %s using (%I = (select app.person()))
                  with check (%I = (select app.person()))', t, key, key);
  execute format('create policy lookup on %s to current_user using (true) with check (true)', t);
end $$;
call app.protect_person('app.person', 'id');
call app.protect_person('app.credential', 'person_id');
call app.protect_person('app.web_session', 'person_id');
