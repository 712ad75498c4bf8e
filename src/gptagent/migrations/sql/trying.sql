-- A person's chats with an agent, to try it: nothing in them reaches a customer or the CRM. Deal and contact are the
-- mirror's, by the CRM's numbers: who is erased is erased here as well.
create table app.test_chat (
  org_id uuid not null default app.org(),
  id uuid not null,
  person_id uuid not null,
  agent_id uuid not null,
  title text not null default '' check (length(title) <= 255),
  connection_id uuid,
  channel text not null default '',
  pipeline_id bigint,
  stage_id bigint,
  lead_id bigint,
  contact_id bigint,
  overrides jsonb not null default '{}',   -- of the agent's settings, for this chat
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, person_id) references app.member on delete cascade,
  foreign key (org_id, agent_id) references app.agent on delete cascade,
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create index test_chat_person on app.test_chat (org_id, person_id, updated_at);
create index test_chat_agent on app.test_chat (org_id, agent_id);
create index test_chat_connection on app.test_chat (org_id, connection_id) where connection_id is not null;
call app.protect('app.test_chat');

-- A message that is played without effect: in a test chat, or a turn again. `draft` is what the model has said so far,
-- unchecked, and empty once it is over.
create table app.rehearsal (
  org_id uuid not null default app.org(),
  id uuid not null,
  person_id uuid not null,
  chat_id uuid,
  turn_id uuid,
  conversation_id uuid,                    -- the turn's
  seq bigint not null default 1,
  question text not null,
  overrides jsonb not null default '{}',
  state text not null default 'waiting' check (state in ('waiting', 'speaking', 'done', 'failed')),
  draft text not null default '',
  result jsonb,
  error_code text,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (org_id, id),
  check ((chat_id is null) <> (turn_id is null)),
  check ((turn_id is null) = (conversation_id is null)),
  foreign key (org_id, person_id) references app.member on delete cascade,
  foreign key (org_id, chat_id) references app.test_chat on delete cascade,
  foreign key (org_id, turn_id) references app.turn on delete cascade
);
create unique index rehearsal_chat on app.rehearsal (org_id, chat_id, seq) where chat_id is not null;
create index rehearsal_turn on app.rehearsal (org_id, turn_id) where turn_id is not null;
create index rehearsal_conversation on app.rehearsal (org_id, conversation_id) where conversation_id is not null;
create index rehearsal_person on app.rehearsal (org_id, person_id);
create index rehearsal_age on app.rehearsal (org_id, created_at);
call app.protect('app.rehearsal');
