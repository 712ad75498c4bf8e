-- Files that an article brings along: they are sent to the customer after a reply that was drawn from it.
create table app.article_file (
  org_id uuid not null default app.org(),
  id uuid not null,
  article_id uuid not null,
  name text not null check (length(name) between 1 and 255),
  kind text not null check (kind in ('picture', 'audio', 'video', 'document')),
  mime text not null,
  size_bytes bigint not null,
  sha256 text not null,
  blob_key text not null,
  created_at timestamptz not null,
  primary key (org_id, id),
  unique (org_id, article_id, sha256),
  foreign key (org_id, article_id) references app.article (org_id, id) on delete cascade
);
call app.protect('app.article_file');
create trigger article_file_discarded after delete on app.article_file for each row
  execute function app.discard_attachment();

-- What became of the files that belong to a reply, each at most once in a turn.
--   waiting   to be sent;  sending  its request may have left
--   sent, not_sent  known;  unknown  nobody can say whether it arrived, and it is not sent again
-- The file itself may be gone from its article by then: its name stays.
create table app.reply_file (
  org_id uuid not null default app.org(),
  turn_id uuid not null,
  file_id uuid not null,
  conversation_id uuid not null,
  position smallint not null,
  name text not null,
  size_bytes bigint not null,
  state text not null default 'waiting' check (state in ('waiting', 'sending', 'sent', 'not_sent', 'unknown')),
  reason text,
  drive_uuid text,              -- where it lies in the CRM's drive, once it has been put there
  provider_message_id text,
  failures integer not null default 0,
  sends integer not null default 0,
  send_started_at timestamptz,
  send_talk_id bigint,
  settled_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (org_id, turn_id, file_id),
  foreign key (org_id, turn_id) references app.turn (org_id, id) on delete cascade,
  foreign key (org_id, conversation_id) references app.conversation (org_id, id) on delete cascade
);
create index reply_file_conversation on app.reply_file (org_id, conversation_id, file_id);
call app.protect('app.reply_file');
