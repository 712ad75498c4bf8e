create table app.llm_usage (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  id bigint generated always as identity,
  turn_id uuid,
  model text not null,
  outcome text not null,
  tokens_in integer not null,
  tokens_out integer not null,
  duration_ms integer not null,
  created_at timestamptz not null default now(),
  primary key (org_id, id)
);
create index llm_usage_time on app.llm_usage (org_id, created_at);
call app.protect('app.llm_usage');
