-- The mirror of the account: fields, users, tags, salesbots, channels, contacts; and the runs that copy them.
-- `external_id` is the CRM's own number and never changes. What the CRM no longer lists keeps its row with
-- `removed_at`: somebody may have chosen it, and must be told that it is gone. `seen_at` is when the CRM last showed it.

alter table app.crm_pipeline add column removed_at timestamptz;
alter table app.crm_stage add column removed_at timestamptz;

create table app.crm_field (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  entity text not null check (entity in ('leads', 'contacts', 'companies')),
  external_id bigint not null,
  name text not null,
  type text not null,
  code text,
  sort integer not null,
  enums jsonb not null,
  is_api_only boolean not null,
  is_known boolean not null,
  catalogs bigint[] not null default '{}',
  links_to text,
  removed_at timestamptz,
  primary key (org_id, connection_id, entity, external_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_field');

create table app.crm_user (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  external_id bigint not null,
  name text not null,
  is_active boolean not null,
  is_admin boolean not null,
  group_id bigint,
  rights jsonb not null,
  removed_at timestamptz,
  primary key (org_id, connection_id, external_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_user');

create table app.crm_tag (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  entity text not null check (entity in ('leads', 'contacts', 'companies')),
  external_id bigint not null,
  name text not null,
  color text,
  seen_at timestamptz not null default now(),
  removed_at timestamptz,
  primary key (org_id, connection_id, entity, external_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_tag');

create table app.crm_salesbot (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  external_id bigint not null,
  name text not null,
  is_active boolean not null,
  removed_at timestamptz,
  primary key (org_id, connection_id, external_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_salesbot');

-- The CRM lists no channels: one is known by the chats that came through it, and so never known to be gone.
-- `source_id` 0 stands for one that the CRM has not numbered.
create table app.crm_channel (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  origin text not null,
  source_id bigint not null,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  primary key (org_id, connection_id, origin, source_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_channel');

-- `erased_at`: the customer asked to be forgotten. Only the number stays, so that no run copies the person again.
create table app.crm_contact (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  external_id bigint not null,
  name text not null default '',
  first_name text not null default '',
  last_name text not null default '',
  phones text[] not null default '{}',
  emails text[] not null default '{}',
  responsible_user_id bigint,
  fields jsonb not null default '[]',
  tags jsonb not null default '[]',
  lead_ids bigint[] not null default '{}',
  company_ids bigint[] not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  removed_at timestamptz,
  erased_at timestamptz,
  primary key (org_id, connection_id, external_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
call app.protect('app.crm_contact');

alter table app.crm_lead
  add column fields jsonb not null default '[]',
  add column tags jsonb not null default '[]',
  add column contact_ids bigint[] not null default '{}',
  add column company_ids bigint[] not null default '{}',
  add column loss_reason text,
  add column closed_at timestamptz,
  add column updated_at timestamptz,
  add column seen_at timestamptz not null default now(),
  add column removed_at timestamptz;

-- One run. `parts` has each part's state, counts and place, so that another worker goes on where one was killed;
-- `claim` rises with each worker that takes the run, and an earlier one finds out by it.
create table app.crm_sync (
  org_id uuid not null default app.org(),
  id uuid not null,
  connection_id uuid not null,
  kind text not null check (kind in ('manual', 'scheduled', 'first')),
  state text not null default 'queued' check (state in ('queued', 'running', 'completed', 'failed')),
  is_full boolean not null default true,
  parts jsonb not null default '[]',
  claim integer not null default 0,
  error_code text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  updated_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create unique index crm_sync_active on app.crm_sync (org_id, connection_id) where state in ('queued', 'running');
create index crm_sync_history on app.crm_sync (org_id, connection_id, created_at);
call app.protect('app.crm_sync', lookup => true);

-- Whose mirror is due: nothing under way (what has not moved for `stale` was lost), no run completed for `age`, and
-- a failed one left in peace for `pause`. A broken connection waits for its owner. With those under way there are
-- never more than `most`: each holds a place of a worker's for minutes.
create function app.connections_to_sync(age interval, pause interval, stale interval, most integer)
returns table (org_id uuid, connection_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select c.org_id, c.id from app.crm_connection c join app.organization o on o.id = c.org_id
   where c.status = 'connected' and c.is_active and c.reads_daily
     and o.delete_at is null and o.suspended_at is null
     and not exists (
       select from app.crm_sync s where s.org_id = c.org_id and s.connection_id = c.id
          and case s.state when 'completed' then s.started_at > now() - age
                           when 'failed' then s.updated_at > now() - pause
                           else s.updated_at > now() - stale end)
   order by c.synced_at nulls first, c.id
   limit greatest(most - (select count(*) from app.crm_sync s
                           where s.state in ('queued', 'running') and s.updated_at > now() - stale), 0)
$$;
