-- Articles that were made of what a person answered in a conversation. None of them is an article, or found by any
-- search, before a person has accepted it. Like the questions they belong to, they go with their conversation.
create table app.knowledge_draft (
  org_id uuid not null default app.org(),
  id uuid not null,
  conversation_id uuid not null,
  gap_id uuid,                 -- what customers asked; it may be gone, so it is looked up
  status text not null default 'proposed' check (status in ('proposed', 'accepted', 'rejected')),
  made_by text not null check (made_by in ('model', 'words')),
  question text not null check (length(question) between 1 and 500),
  talk jsonb not null,         -- what was asked and what the person answered, without names and numbers of people
  title text not null check (length(title) between 1 and 255),
  content text not null,
  article_id uuid,             -- what became of it
  decided_by uuid,
  decided_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade,
  foreign key (org_id, article_id) references app.article (org_id, id) on delete set null (article_id)
);
create index knowledge_draft_status on app.knowledge_draft (org_id, status, created_at);
create index knowledge_draft_conversation on app.knowledge_draft (org_id, conversation_id);
create index knowledge_draft_article on app.knowledge_draft (org_id, article_id) where article_id is not null;
call app.protect('app.knowledge_draft');

-- Conversations that a person took over: when to look whether the person is done, and up to where it was looked.
-- `proposed_for`: the hold of which a draft was made already; of one hold there is one at the most.
create table app.draft_watch (
  org_id uuid not null default app.org(),
  conversation_id uuid not null,
  read_seq bigint not null default 0,
  due_at timestamptz,
  proposed_for timestamptz,
  primary key (org_id, conversation_id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create index draft_watch_due on app.draft_watch (due_at) where due_at is not null;
call app.protect('app.draft_watch', lookup => true);

create function app.drafts_due(most integer) returns table (org_id uuid, conversation_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select w.org_id, w.conversation_id
    from app.draft_watch w
         join app.organization o on o.id = w.org_id and o.delete_at is null and o.suspended_at is null
   where w.due_at < clock_timestamp()
   order by w.due_at limit most
$$;
