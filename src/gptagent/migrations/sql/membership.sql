alter table app.organization
  add suspended_at timestamptz,
  add delete_at timestamptz,   -- asked for by the owner; until then it can be taken back
  add settings jsonb not null default '{}';

alter table app.member
  add status text not null default 'active' check (status in ('active', 'suspended')),
  add invited_by uuid;

create table app.invitation (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  id uuid not null,
  email text check (email = lower(btrim(email))),  -- null: whoever has the link
  role text not null check (role in ('admin', 'member', 'viewer')),
  token_hash bytea not null unique,
  by_letter boolean not null default false,  -- its token was never shown: whoever has it reads that mailbox
  invited_by uuid,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  accepted_at timestamptz,
  accepted_by uuid,
  primary key (org_id, id)
);
create index invitation_open on app.invitation (org_id, created_at);
call app.protect('app.invitation', lookup => true);

-- Keys of programs, of a workspace or under the id zero of the platform's administrators. The key itself is shown
-- once; here is its hash, and its ends for people to know it by.
create table app.api_key (
  org_id uuid not null default app.org(),
  id uuid not null,
  name text not null check (length(name) between 1 and 100),
  description text not null default '',
  key_hash bytea not null unique,
  key_start text not null,
  key_end text not null,
  scopes text[] not null,
  created_by uuid,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  primary key (org_id, id)
);
call app.protect('app.api_key', lookup => true);

-- The answer of a creating request, kept for a day: the same key gets it again.
create table app.idempotency_key (
  org_id uuid not null default app.org(),
  caller text not null,
  key text not null,
  request_hash bytea not null,
  status int,                -- null while the first request runs
  headers jsonb not null default '{}',
  body bytea not null default ''::bytea,
  created_at timestamptz not null default now(),
  primary key (org_id, caller, key)
);
create index idempotency_key_age on app.idempotency_key (created_at);
call app.protect('app.idempotency_key', lookup => true);
