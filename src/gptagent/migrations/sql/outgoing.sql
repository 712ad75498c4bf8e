-- Messages owed to a customer outside of a turn: what a colleague writes on our screen, the words of a hand-off, a
-- follow-up. The words stand in `message`; here is what becomes of them. Each has a fence of its own: `sends` counts how
-- often it was passed.
create table app.outgoing (
  org_id uuid not null default app.org(),
  id uuid not null,
  conversation_id uuid not null,
  seq bigint not null,         -- of its message
  kind text not null check (kind in ('reply', 'handoff', 'followup')),
  agent_id uuid,               -- whose words they are; null: a colleague's
  state text not null default 'waiting' check (state in ('waiting', 'sending', 'sent', 'not_sent', 'unknown')),
  reason text,
  provider_message_id text,
  failures integer not null default 0,
  sends integer not null default 0,
  send_started_at timestamptz,
  send_accepted_at timestamptz,  -- the CRM has taken it, but not told under which id
  send_talk_id bigint,
  send_route text check (send_route in ('talk', 'salesbot', 'widget')),
  send_since timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  settled_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, conversation_id, seq) references app.message on delete cascade
);
create index outgoing_conversation on app.outgoing (org_id, conversation_id, seq);
call app.protect('app.outgoing');

-- A conversation given to a colleague: message, assignment, task and summary were owed in the transaction of this row.
create table app.handoff (
  org_id uuid not null default app.org(),
  id uuid not null,
  conversation_id uuid not null,
  made_by text not null check (made_by in ('agent', 'person')),
  agent_id uuid,
  by_name text not null,       -- of the agent or the colleague
  assignee_id uuid,
  reason text not null check (reason in ('asked_for_person', 'model_hands_over', 'person')),
  note text not null default '',  -- the colleague's words to the next one
  outgoing_id uuid,            -- null: the customer was told nothing
  task_id uuid,                -- null: the chat has no deal
  action_id uuid,              -- the note with the summary
  created_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade,
  foreign key (org_id, assignee_id) references app.member on delete set null (assignee_id)
);
create index handoff_conversation on app.handoff (org_id, conversation_id, created_at);
create index handoff_assignee on app.handoff (org_id, assignee_id) where assignee_id is not null;
call app.protect('app.handoff');

-- Agents that are there speak of a hand-off in their workspace's language, as new ones do.
alter table app.agent no force row level security; -- forced, it hides the rows from the owner too
update app.agent a
   set settings = a.settings || jsonb_build_object('handoff_text', 'Передаю вас коллеге, он ответит вам здесь.')
  from app.organization o where o.id = a.org_id and o.locale = 'ru' and not a.settings ? 'handoff_text';
alter table app.agent force row level security;

-- What an agent would answer, asked for by a colleague; the last one of each conversation. It answers what was said up to
-- `upto_seq`, and is shown until somebody writes.
create table app.suggestion (
  org_id uuid not null default app.org(),
  conversation_id uuid not null,
  id uuid not null,
  upto_seq bigint not null,
  state text not null default 'pending' check (state in ('pending', 'ready', 'none', 'failed')),
  answer jsonb,
  asked_at timestamptz not null default clock_timestamp(),
  primary key (org_id, conversation_id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
call app.protect('app.suggestion');

-- A customer who is silent at a stage for which the agent has a follow-up: when to look, and after which message. Whatever
-- is written raises `last_seq` of the conversation, and nothing is sent.
create table app.follow_up (
  org_id uuid not null default app.org(),
  conversation_id uuid not null,
  agent_id uuid not null,
  stage_id bigint not null,
  after_seq bigint not null,
  silent_since timestamptz not null default clock_timestamp(),
  due_at timestamptz not null,
  primary key (org_id, conversation_id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create index follow_up_due on app.follow_up (due_at);
call app.protect('app.follow_up', lookup => true);

create function app.follow_ups_due(most integer) returns table (org_id uuid, conversation_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select f.org_id, f.conversation_id from app.follow_up f
         join app.organization o on o.id = f.org_id
   where f.due_at <= clock_timestamp() and o.delete_at is null and o.suspended_at is null
   order by f.due_at limit most
$$;
