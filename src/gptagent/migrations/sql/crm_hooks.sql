-- Deliveries of webhooks, each with what became of it. Kept as long as the workspace keeps the CRM's reports
-- (features/privacy: `events`), and deleted with the customer they speak of.
create table app.crm_delivery (
  org_id uuid not null default app.org(),
  id uuid not null,
  connection_id uuid not null,
  source text not null default 'webhook' check (source in ('webhook', 'poll')),
  kind text not null,               -- the first of its body, like `message[add]`
  payload json,                     -- as it came, in its order; null for copies of what was stored before
  refs text[] not null default '{}',  -- what it speaks of: numbers of deals and contacts, ids of chats and messages
  state text not null check (state in ('received', 'processed', 'failed', 'dead', 'ignored')),
  attempts integer not null default 1,
  error text,
  received_at timestamptz not null,
  processed_at timestamptz,
  retry_at timestamptz,             -- when it is tried again; null: it is not
  job_id bigint,                    -- the job that tries it again
  primary key (org_id, id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create index crm_delivery_time on app.crm_delivery (org_id, connection_id, received_at, id) include (state);
create index crm_delivery_waiting on app.crm_delivery (org_id, connection_id, received_at)
  where state in ('received', 'failed', 'dead');
call app.protect('app.crm_delivery');

-- What has been acted on, by digest: a copy or replay is recognised although its chat or body is long deleted.
create table app.crm_seen (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  key bytea not null,
  seen_at timestamptz not null default now(),
  primary key (org_id, connection_id, key),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create index crm_seen_age on app.crm_seen using brin (seen_at);
call app.protect('app.crm_seen', lookup => true);

create function app.forget_seen(age interval, max_rows integer) returns bigint
language plpgsql security definer set search_path = app, pg_temp as $$
declare gone bigint;
begin
  delete from app.crm_seen s using (
    select org_id, connection_id, key from app.crm_seen where seen_at < now() - age limit max_rows) old
   where (s.org_id, s.connection_id, s.key) = (old.org_id, old.connection_id, old.key);
  get diagnostics gone = row_count;
  return gone;
end $$;

-- The CRM's time of what we know of a deal: what it says of an earlier one is no news.
alter table app.crm_lead add column told_at timestamptz;

-- A call that was missed may belong to a contact; who is to call back, stands in the call's note.
alter table app.crm_task add column record_kind text not null default 'lead'
  check (record_kind in ('lead', 'contact', 'company', 'customer'));
alter table app.crm_task add column responsible_user_id bigint;

-- Whether the CRM still reports, and what is looked for because it may not have.
alter table app.crm_connection
  add column hook_state text not null default 'unknown' check (hook_state in ('unknown', 'subscribed', 'refused')),
  add column hook_error text,
  add column hook_codes text[] not null default '{}',  -- what the CRM took
  add column hook_wanted text not null default '',     -- a digest of what it was asked for
  add column hook_checked_at timestamptz,
  add column hook_restored_at timestamptz,
  add column hook_failed_at timestamptz,
  add column care_at timestamptz not null default now(),          -- when the subscription is looked at again
  add column poll_at timestamptz not null default now() + interval '1 minute',  -- when messages are looked for again
  add column polled_to timestamptz not null default now(),        -- up to where nothing is missing
  add column poll_found_at timestamptz;
create index crm_connection_care on app.crm_connection (care_at) where status = 'connected';
create index crm_connection_poll on app.crm_connection (poll_at) where status = 'connected';

-- Claims the connections to be looked after now: each is named once per period, whoever asks.
create function app.due_care(every interval, max_rows integer) returns table (org_id uuid, connection_id uuid)
language sql security definer set search_path = app, pg_temp as $$
  update app.crm_connection c
     set care_at = clock_timestamp() + every * (0.9 + random() * 0.2)  -- spread, or all would ask at once for ever
   where (c.org_id, c.id) in (
     select d.org_id, d.id from app.crm_connection d
      where d.status = 'connected' and d.is_active and d.care_at <= clock_timestamp()
      order by d.care_at limit max_rows for no key update skip locked)
  returning c.org_id, c.id
$$;

create function app.due_polls(patience interval, max_rows integer) returns table (org_id uuid, connection_id uuid)
language sql security definer set search_path = app, pg_temp as $$
  update app.crm_connection c set poll_at = clock_timestamp() + patience  -- in case its job is lost
   where (c.org_id, c.id) in (
     select d.org_id, d.id from app.crm_connection d
      where d.status = 'connected' and d.is_active and d.poll_at <= clock_timestamp()
      order by d.poll_at limit max_rows for no key update skip locked)
  returning c.org_id, c.id
$$;
