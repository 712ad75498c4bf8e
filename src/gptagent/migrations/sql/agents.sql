create table app.agent (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  id uuid not null,
  name text not null check (length(name) between 1 and 255),
  is_active boolean not null default false,
  instructions text not null,
  model text,
  creativity text not null default 'balanced' check (creativity in ('precise', 'balanced', 'creative')),
  response_delay_seconds integer not null default 5 check (response_delay_seconds between 0 and 3600),
  not_found_text text not null,
  not_found_task boolean not null default true,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id)
);
create unique index agent_name on app.agent (org_id, lower(name));
call app.protect('app.agent');
