-- What an agent does in the CRM after its answers.
-- One run looks at a turn once: `pending` until it has, `skipped` for a reason, `failed` if no model could be asked.
-- `calls`: which tools the model has called and what became of each. It goes with the conversation.
create table app.action_run (
  org_id uuid not null default app.org(),
  turn_id uuid not null,
  conversation_id uuid not null,
  state text not null default 'pending' check (state in ('pending', 'done', 'skipped', 'failed')),
  intent text,
  intent_confidence real,
  error_code text,
  calls jsonb not null default '[]',
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (org_id, turn_id),
  foreign key (org_id, turn_id) references app.turn (org_id, id) on delete cascade,
  foreign key (org_id, conversation_id) references app.conversation (org_id, id) on delete cascade
);
create index action_run_conversation on app.action_run (org_id, conversation_id, created_at);
call app.protect('app.action_run');

-- An action that was proposed. `done`: it was handed to app.crm_action, where the rest of its life is. What waits is
-- the same only once in a conversation: `key`.
create table app.action_proposal (
  org_id uuid not null default app.org(),
  id uuid not null,
  conversation_id uuid not null,
  turn_id uuid not null,
  lead_id bigint,    -- the deal and the contact it was proposed for, whatever the conversation belongs to by now
  contact_id bigint,
  action text not null check (action in ('move_deal', 'create_task', 'add_note', 'change_responsible', 'add_tags')),
  fields jsonb not null,
  shown text not null,
  reason text not null default '',
  degree text not null check (degree in ('suggest', 'approve', 'alone')),
  confidence real not null,
  key text not null,
  state text not null default 'waiting' check (state in ('waiting', 'done', 'rejected', 'outdated')),
  action_id uuid,
  error_code text,
  decided_by text,
  decided_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, turn_id) references app.turn (org_id, id) on delete cascade,
  foreign key (org_id, conversation_id) references app.conversation (org_id, id) on delete cascade
);
create unique index action_proposal_waiting on app.action_proposal (org_id, conversation_id, key)
  where state = 'waiting';
create index action_proposal_conversation on app.action_proposal (org_id, conversation_id, created_at);
create index action_proposal_turn on app.action_proposal (org_id, turn_id); -- turns are deleted one by one
create index action_proposal_queue on app.action_proposal (org_id, created_at)
  where state = 'waiting' and degree = 'approve';
call app.protect('app.action_proposal');
