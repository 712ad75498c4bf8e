-- What was asked to be done in the CRM: claimed, called, recorded. `request` is what to write. `conversation_id`,
-- `message_seq`, `turn_id` and `reason` say why. `unknown`: the CRM may have done it and cannot be asked.
create table app.crm_action (
  org_id uuid not null default app.org(),
  id uuid not null,
  connection_id uuid not null,
  kind text not null,
  entity text not null check (entity in ('leads', 'contacts')),
  entity_id bigint,
  request jsonb not null,
  actor_kind text not null,
  actor_id uuid,
  conversation_id uuid,
  message_seq bigint,
  turn_id uuid,
  reason text not null default '',
  state text not null default 'pending' check (state in ('pending', 'sending', 'done', 'failed', 'unknown')),
  external_id bigint,
  error_code text,
  error_detail text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create index crm_action_record on app.crm_action (org_id, connection_id, entity, entity_id, created_at);
create index crm_action_emails on app.crm_action (org_id, created_at) where kind = 'send_email';
call app.protect('app.crm_action');

-- The journal: one row for each field written. `before` was read from the CRM right before, `after` right after; until
-- `written_at` it is what is about to be written. `before` is null where the record was made with the value.
create table app.crm_change (
  org_id uuid not null default app.org(),
  id uuid not null,
  connection_id uuid not null,
  action_id uuid not null,
  entity text not null check (entity in ('leads', 'contacts')),
  entity_id bigint not null,
  key text not null,
  before jsonb,
  after jsonb not null,
  reverts uuid,
  created_at timestamptz not null default now(),
  written_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade,
  foreign key (org_id, action_id) references app.crm_action on delete cascade
);
create index crm_change_record on app.crm_change (org_id, connection_id, entity, entity_id, created_at);
create index crm_change_action on app.crm_change (org_id, action_id);
create index crm_change_reverts on app.crm_change (org_id, reverts) where reverts is not null;
call app.protect('app.crm_change');
