create table app.conversation (
  org_id uuid not null default app.org(),
  id uuid not null,
  connection_id uuid not null,
  chat_id text not null,
  talk_id bigint,
  contact_id bigint,
  lead_id bigint,
  customer_name text not null,
  channel text not null,
  last_seq bigint not null default 0,
  last_text text not null default '',
  last_message_at timestamptz not null default now(),
  taken_over_at timestamptz,
  taken_over_by text,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, connection_id, chat_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create index conversation_recent on app.conversation (org_id, last_message_at desc);
create index conversation_lead on app.conversation (org_id, connection_id, lead_id);
call app.protect('app.conversation');

create table app.message (
  org_id uuid not null default app.org(),
  conversation_id uuid not null,
  seq bigint not null,
  author text not null check (author in ('customer', 'agent', 'human', 'bot')),
  author_name text not null default '',
  provider_id text,
  text text not null,
  attachment_type text,
  turn_id uuid,
  sent_at timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (org_id, conversation_id, seq),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create unique index message_provider on app.message (org_id, conversation_id, provider_id)
  where provider_id is not null;
create index message_replies on app.message (org_id, sent_at) where author = 'agent';
call app.protect('app.message');
