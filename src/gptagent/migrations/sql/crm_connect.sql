-- How an account is connected: integrations, grants, tokens that are renewed.
alter table app.crm_connection
  add column brand text not null generated always as
    (case when host like '%.amocrm.ru' or host like '%.amocrm.test' then 'amocrm' else 'kommo' end) stored,
  add column client_id text,             -- of the integration the token belongs to, if the token says so
  add column access_kind text not null default 'long_lived' check (access_kind in ('long_lived', 'oauth')),
  add column access_expires_at timestamptz,
  add column scopes text[],              -- null: the token does not say
  add column broken_at timestamptz,
  add column told_at timestamptz,        -- when its owners were written to that it broke; once for each time
  add column is_active boolean not null default true,    -- off: nothing is answered there, and nothing asked of it
  add column active_since timestamptz,   -- when it was switched on again; what came before stays unanswered
  add column reads_daily boolean not null default true;
create index crm_connection_account on app.crm_connection (brand, account_id);

-- A workspace's own integrations in its CRM.
create table app.crm_integration (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  id uuid not null,
  brand text not null check (brand in ('kommo', 'amocrm')),
  client_id text not null,
  secret_sealed bytea not null,
  secret_end text not null,              -- its last characters, all that is ever shown
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, brand, client_id)
);
call app.protect('app.crm_integration');

-- What renews a connection's token. A table of its own: its row stays locked while the CRM is asked for the next
-- pair, and nobody but another renewal waits for it. Always locked before its connection.
create table app.crm_grant (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  refresh_sealed bytea not null,
  renewed_at timestamptz not null,
  renew_at timestamptz,                  -- null: refused for good
  queued_at timestamptz,                 -- when its renewal was queued last
  primary key (org_id, connection_id),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create index crm_grant_due on app.crm_grant (renew_at) where renew_at is not null;
call app.protect('app.crm_grant', lookup => true);

-- A consent that was asked for and is not back yet.
create table app.crm_consent (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  state_hash bytea not null,
  person_id uuid,                        -- null: a program asked, and anybody with the right may come back
  session_id uuid,                       -- the log-in it comes back to; null: any of the person's
  brand text not null check (brand in ('kommo', 'amocrm')),
  client_id text not null,
  expires_at timestamptz not null,
  primary key (org_id, state_hash),
  foreign key (org_id, person_id) references app.member on delete cascade
);
create unique index crm_consent_hash on app.crm_consent (state_hash);
call app.protect('app.crm_consent', lookup => true);

-- Uses it up, whoever comes with it.
create function app.use_crm_consent(wanted bytea)
returns table (org_id uuid, person_id uuid, session_id uuid, brand text, client_id text)
language sql security definer set search_path = app, pg_temp as $$
  delete from app.crm_consent s where s.state_hash = wanted and s.expires_at > now()
  returning s.org_id, s.person_id, s.session_id, s.brand, s.client_id
$$;

create function app.crm_account_taken(of_brand text, of_account bigint) returns boolean
language sql stable security definer set search_path = app, pg_temp as $$
  select exists (select from app.crm_connection c
                  where c.brand = of_brand and c.account_id = of_account and c.org_id is distinct from app.org())
$$;

create function app.crm_connections_of(client text, of_account bigint)
returns table (org_id uuid, connection_id uuid, brand text)
language sql stable security definer set search_path = app, pg_temp as $$
  select c.org_id, c.id, c.brand from app.crm_connection c
   where c.account_id = of_account and c.brand in ('kommo', 'amocrm') and c.client_id = client
$$;

create function app.crm_grants_due(max_rows integer) returns table (org_id uuid, connection_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select g.org_id, g.connection_id from app.crm_grant g
   where g.renew_at <= now() and (g.queued_at is null or g.queued_at < now() - interval '15 minutes')
   order by g.renew_at limit max_rows
$$;
