-- How replies reach the customer's chat: straight into the talk, by a field and a Salesbot, or as the answer
-- that a waiting bot of the account has asked for.
create table app.crm_reply_setup (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  mode text not null default 'automatic' check (mode in ('automatic', 'talk', 'salesbot', 'widget')),
  field_id bigint,             -- the deal's text field a reply is written into
  field_name text,
  bot_id bigint,               -- the Salesbot that sends what the field holds
  bot_name text,
  widget_step integer not null default 1 check (widget_step between 1 and 100),
  widget_secret_sealed bytea,  -- signs what the account's widget block asks
  refused_reason text,         -- why the CRM took no message straight into a talk, and when it said so last
  refused_at timestamptz,
  primary key (org_id, connection_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_reply_setup');

-- A deal has one field and one running bot, whatever the number of its chats: replies take turns.
create table app.crm_lead_claim (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  lead_id bigint not null,
  holder uuid not null,        -- the turn that writes
  until timestamptz not null,
  primary key (org_id, connection_id, lead_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_lead_claim');

-- Bots of the account that wait for our answer. A slot is used once.
create table app.crm_reply_slot (
  org_id uuid not null default app.org(),
  id uuid not null,
  connection_id uuid not null,
  lead_id bigint not null,
  talk_id bigint,
  url_hash bytea not null,
  url_sealed bytea not null,
  said_sealed bytea,           -- the customer's words the bot passed on; forgotten once they are stored or known
  asked_at timestamptz,        -- when the bot asked, by the CRM's clock, if its token says so
  state text not null default 'waiting' check (state in ('waiting', 'used', 'gone')),
  turn_id uuid,
  received_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, connection_id, url_hash),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create index crm_reply_slot_lead on app.crm_reply_slot (org_id, connection_id, lead_id, received_at);
call app.protect('app.crm_reply_slot');

alter table app.turn
  add column send_route text check (send_route in ('talk', 'salesbot', 'widget')),
  add column send_since timestamptz,        -- by the CRM's clock, where that is known: nothing older is ours
  add column send_accepted_at timestamptz,  -- the CRM has taken the reply, but not told under which id
  add column reported_at timestamptz;       -- the CRM itself has told of the message: it left

-- What becomes of our messages, and of the files that come with the customers'.
alter table app.message
  add column delivery_status text check (delivery_status in ('sent', 'delivered', 'read', 'failed'));

-- Conversations in which a reply is on its way: when to ask the CRM next what became of it.
create table app.delivery_watch (
  org_id uuid not null default app.org(),
  conversation_id uuid not null,
  connection_id uuid not null,
  check_at timestamptz not null,
  primary key (org_id, conversation_id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create index delivery_watch_due on app.delivery_watch (check_at);
call app.protect('app.delivery_watch', lookup => true);

create table app.attachment (
  org_id uuid not null default app.org(),
  id uuid not null,
  conversation_id uuid not null,
  seq bigint not null,
  kind text not null,
  name text not null,
  url_sealed bytea,            -- forgotten once the file is here
  state text not null default 'pending' check (state in ('pending', 'stored', 'refused', 'failed')),
  blob_key text,
  size_bytes bigint,
  sha256 text,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, conversation_id, seq) references app.message on delete cascade
);
create index attachment_message on app.attachment (org_id, conversation_id, seq);
call app.protect('app.attachment');

-- Files whose rows are gone, however that came: the worker deletes them.
create table app.file_garbage (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  key text not null,
  primary key (org_id, key)
);
call app.protect('app.file_garbage', lookup => true);

create function app.discard_attachment() returns trigger language plpgsql as $$
begin
  -- With a workspace all its files go.
  insert into app.file_garbage (org_id, key) select old.org_id, old.blob_key
   where exists (select from app.organization where id = old.org_id) on conflict do nothing;
  return null;
end $$;
create trigger attachment_discarded after delete on app.attachment for each row
  when (old.blob_key is not null) execute function app.discard_attachment();

create function app.garbage_workspaces() returns table (org_id uuid)
language sql security definer set search_path = app, pg_temp as $$
  select distinct g.org_id from app.file_garbage g limit 100
$$;

-- Whose bots ask here. The address is no secret: a signed token decides who is heard.
create function app.connection_by_id(asked uuid)
returns table (org_id uuid, connection_id uuid, account_id bigint)
language sql security definer set search_path = app, pg_temp as $$
  select c.org_id, c.id, c.account_id from app.crm_connection c where c.id = asked
$$;

-- Conversations whose deliveries are to be looked up now: the oldest first, a few of each account.
create function app.deliveries_due(per_connection integer, max_rows integer)
returns table (org_id uuid, conversation_id uuid)
language sql security definer set search_path = app, pg_temp as $$
  select due.org_id, due.conversation_id from (
    select w.org_id, w.conversation_id, w.check_at,
           row_number() over (partition by w.org_id, w.connection_id order by w.check_at) as place
      from app.delivery_watch w join app.crm_connection c on (c.org_id, c.id) = (w.org_id, w.connection_id)
     where w.check_at <= clock_timestamp() and c.is_active) due
   where due.place <= per_connection order by due.check_at limit max_rows
$$;
