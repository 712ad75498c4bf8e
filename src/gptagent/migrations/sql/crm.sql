create table app.crm_connection (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  id uuid not null,
  provider text not null check (provider in ('kommo')),
  host text not null,
  account_id bigint not null,
  name text not null,
  token_sealed bytea not null,
  hook_hash bytea not null unique,
  hook_sealed bytea not null,
  status text not null default 'connected' check (status in ('connected', 'broken')),
  status_reason text,
  can_send_messages boolean not null default true,
  last_webhook_at timestamptz,
  synced_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, provider, account_id)
);
call app.protect('app.crm_connection', lookup => true);

create table app.crm_pipeline (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  external_id bigint not null,
  name text not null,
  sort integer not null,
  is_main boolean not null,
  primary key (org_id, connection_id, external_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_pipeline');

create table app.crm_stage (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  pipeline_id bigint not null,
  external_id bigint not null,
  name text not null,
  sort integer not null,
  kind text not null check (kind in ('incoming', 'open', 'won', 'lost')),
  primary key (org_id, connection_id, pipeline_id, external_id),
  foreign key (org_id, connection_id, pipeline_id) references app.crm_pipeline on delete cascade
);
call app.protect('app.crm_stage');

create table app.crm_lead (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  external_id bigint not null,
  name text,
  price bigint,
  pipeline_id bigint,
  stage_id bigint,
  responsible_user_id bigint,
  is_deleted boolean not null default false,
  fetched_at timestamptz,
  primary key (org_id, connection_id, external_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_lead');

-- Kinds of webhook events nobody acts on yet: kept, so that nothing the CRM said is lost.
create table app.crm_event (
  org_id uuid not null default app.org(),
  id bigint generated always as identity,
  connection_id uuid not null,
  kind text not null,
  payload jsonb not null,
  received_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_event');

-- The tasks the platform owes the CRM: claimed, called, recorded.
create table app.crm_task (
  org_id uuid not null default app.org(),
  id uuid not null,
  connection_id uuid not null,
  lead_id bigint not null,
  text text not null,
  due_at timestamptz not null,
  state text not null default 'pending' check (state in ('pending', 'sending', 'done', 'failed')),
  external_id bigint,
  started_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_task');

-- Calls are counted per account and per egress address, over all processes and tenants.
-- `next_at` is when the next call may leave; a call moves it on by the spacing.
create unlogged table app.crm_call_slot (
  key text primary key,
  next_at timestamptz not null
);

create function app.take_call_slot(keys text[], spacing interval, max_wait interval)
returns double precision language plpgsql security definer set search_path = app, pg_temp as $$
declare at timestamptz;
begin
  insert into app.crm_call_slot select k, clock_timestamp() from unnest(keys) k order by k
    on conflict (key) do nothing;
  perform from app.crm_call_slot s where s.key = any(keys) order by s.key for update;
  select greatest(max(s.next_at), clock_timestamp()) into at from app.crm_call_slot s where s.key = any(keys);
  if at > clock_timestamp() + max_wait then
    return -extract(epoch from at - clock_timestamp());
  end if;
  update app.crm_call_slot s set next_at = at + spacing where s.key = any(keys);
  return greatest(extract(epoch from at - clock_timestamp()), 0);
end $$;

create function app.block_calls(keys text[], seconds double precision) returns void
language sql security definer set search_path = app, pg_temp as $$
  insert into app.crm_call_slot select k, clock_timestamp() + make_interval(secs => seconds) from unnest(keys) k
  on conflict (key) do update set next_at = greatest(crm_call_slot.next_at, excluded.next_at);
$$;
