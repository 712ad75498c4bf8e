create table app.organization (
  id uuid primary key,
  number bigint not null unique generated always as identity (start with 1000001),
  name text not null check (length(name) between 1 and 255),
  slug text not null check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  locale text not null default 'ru',
  created_at timestamptz not null default now()
);
alter table app.organization enable row level security;
alter table app.organization force row level security;
create policy tenant on app.organization using (id = (select app.org())) with check (id = (select app.org()));
create policy lookup on app.organization to current_user using (true) with check (true);

create table app.member (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  person_id uuid not null references app.person on delete cascade,
  role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
  created_at timestamptz not null default now(),
  primary key (org_id, person_id)
);
-- memberships_of() asks by person, before every request's tenant is known.
create index member_person on app.member (person_id);
call app.protect('app.member', lookup => true);
