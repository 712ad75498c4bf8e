-- The shared inbox: whose a conversation is, and how far each member has read it.
alter table app.conversation
  add column assignee_id uuid,
  add foreign key (org_id, assignee_id) references app.member on delete set null (assignee_id);
create index conversation_assignee on app.conversation (org_id, assignee_id) where assignee_id is not null;

create table app.conversation_read (
  org_id uuid not null default app.org(),
  person_id uuid not null,
  conversation_id uuid not null,
  seq bigint not null,
  primary key (org_id, person_id, conversation_id),
  foreign key (org_id, person_id) references app.member on delete cascade,
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create index conversation_read_conversation on app.conversation_read (org_id, conversation_id);
call app.protect('app.conversation_read');

-- What was written before somebody joined is not unread for them.
alter table app.member add column unread_since timestamptz not null default now();
