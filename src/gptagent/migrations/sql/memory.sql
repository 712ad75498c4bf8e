-- What customers have said of themselves. A row belongs to a conversation, and by it to whoever the CRM says has that
-- chat: all conversations of one contact share theirs, also once the contact becomes known or is another one.
create table app.memory (
  org_id uuid not null default app.org(),
  id uuid not null,
  conversation_id uuid not null,
  seq bigint, -- the message it was taken from; none where a person wrote it
  kind text not null check (kind in ('fact', 'preference', 'commitment', 'context')),
  topic text not null check (length(topic) between 1 and 80), -- of two with the same, the newer holds
  text text not null check (length(text) between 1 and 300),
  quote text not null default '' check (length(quote) <= 300), -- the customer's own words
  confidence real not null check (confidence between 0 and 1),
  author text not null check (author in ('model', 'pattern', 'person')),
  said_at timestamptz not null,
  expires_on date,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create index memory_conversation on app.memory (org_id, conversation_id);
create index memory_age on app.memory (org_id, said_at);
create index memory_end on app.memory (org_id, expires_on) where expires_on is not null;
call app.protect('app.memory');

-- How far a conversation's messages have been read for it. `due_at`: a job that reads on is queued.
create table app.memory_reading (
  org_id uuid not null default app.org(),
  conversation_id uuid not null,
  read_seq bigint not null default 0,
  due_at timestamptz,
  error_code text,
  primary key (org_id, conversation_id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
call app.protect('app.memory_reading');

create index conversation_contact on app.conversation (org_id, connection_id, contact_id) where contact_id is not null;
alter table app.agent add column remembers_customers boolean not null default true;
