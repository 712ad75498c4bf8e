-- One lane per conversation decides, alone, who may answer what and when.
--   epoch  raised by everything that makes a reply in the making stale: a customer's or a person's message,
--          a stage change, a pause, a resume. Sending is a compare-and-swap on it.
--   claim  raised by every worker that takes the lane: fences a worker that was thought dead.
--   wanted last customer message to be answered;  done  last one answered.
create table app.lane (
  org_id uuid not null default app.org(),
  conversation_id uuid not null,
  epoch bigint not null default 0,
  claim bigint not null default 0,
  wanted bigint not null default 0,
  done bigint not null default 0,
  burst_started_at timestamptz,
  due_at timestamptz,          -- when the lane needs a worker; null: nothing to do
  wake_at timestamptz,         -- when the queued wake-up is due; null: none is queued
  lease_until timestamptz not null default '-infinity',
  job_id bigint,
  primary key (org_id, conversation_id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create index lane_due on app.lane (due_at) where due_at is not null;
call app.protect('app.lane', lookup => true);

create table app.turn (
  org_id uuid not null default app.org(),
  id uuid not null,
  conversation_id uuid not null,
  agent_id uuid,
  epoch bigint not null,
  first_seq bigint not null,
  last_seq bigint not null,
  state text not null default 'open' check (state in ('open', 'sending', 'ended', 'superseded')),
  outcome text check (outcome in ('reply', 'not_found', 'handed_off', 'refused')),
  reason text,
  answer jsonb,                -- the recorded step: text, sources, kind; a killed worker's turn goes on from here
  provider_message_id text,
  send_attempts integer not null default 0,
  held_back integer not null default 0,  -- failures before a send could begin
  send_started_at timestamptz,
  send_talk_id bigint,         -- where the reply went: it is read back there and nowhere else
  model_calls integer not null default 0,
  tokens_in integer not null default 0,
  tokens_out integer not null default 0,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create unique index turn_live on app.turn (org_id, conversation_id) where state in ('open', 'sending');
create index turn_conversation on app.turn (org_id, conversation_id, created_at);
call app.protect('app.turn');

-- Lanes that are due but that no queued wake-up will reach in time: a wake-up's job was held, or lost.
create function app.lanes_overdue(late interval, max_rows integer)
returns table (org_id uuid, conversation_id uuid)
language sql security definer set search_path = app, pg_temp as $$
  select l.org_id, l.conversation_id from app.lane l
   where l.due_at < clock_timestamp() - late and l.lease_until < clock_timestamp()
     and (l.wake_at is null or l.wake_at < clock_timestamp() - late)
   order by l.due_at limit max_rows
$$;
