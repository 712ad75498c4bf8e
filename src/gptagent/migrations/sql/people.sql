-- What a person is known by beside a password, and how far a log-in reaches.
alter table app.person
  add email_verified_at timestamptz,
  add avatar_key text,
  add suspended_at timestamptz,
  add erased_at timestamptz,
  add given_name text not null default '',
  add family_name text not null default '';

-- `full_name` is what others see: both names, joined here. The release before this one knows nothing else, so a row
-- in which only that was written has it all as the given name.
update app.person set given_name = split_part(full_name, ' ', 1),
       family_name = btrim(substr(full_name, length(split_part(full_name, ' ', 1)) + 1));
create function app.join_names() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' and new.given_name = ''
     or tg_op = 'UPDATE' and new.full_name is distinct from old.full_name then
    new.given_name := new.full_name;
    new.family_name := '';
  end if;
  new.full_name := btrim(new.given_name || ' ' || new.family_name);
  return new;
end $$;
create trigger join_names before insert or update of full_name, given_name, family_name on app.person
  for each row execute function app.join_names();

alter table app.web_session
  add remembered boolean not null default false,
  add device text not null default '',
  add address text not null default '',
  add last_seen_at timestamptz not null default now(),
  add confirmed_at timestamptz not null default now(),  -- when the password or second factor was last given
  add workspace_id uuid references app.organization on delete cascade,  -- signed in by its own provider: only there
  add impersonator_id uuid references app.person on delete cascade,
  add impersonation_reason text,
  add constraint impersonation_has_reason check ((impersonator_id is null) = (impersonation_reason is null));

-- Links and half-finished log-ins: hashed, single use, with an end. `payload` is sealed where it holds a secret.
create table app.one_time_token (
  token_hash bytea primary key,
  kind text not null check (kind in ('verify_email', 'reset_password', 'change_email', 'second_factor', 'passkey',
                                     'oidc')),
  person_id uuid references app.person on delete cascade,
  payload bytea not null default ''::bytea,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz
);
create index one_time_token_person on app.one_time_token (person_id, kind);
create index one_time_token_expiry on app.one_time_token (expires_at);

create table app.totp (
  person_id uuid primary key references app.person on delete cascade,
  secret_sealed bytea not null,
  confirmed_at timestamptz,
  last_step bigint not null default 0,  -- a code is accepted once (RFC 6238, section 5.2)
  created_at timestamptz not null default now()
);
create table app.recovery_code (
  person_id uuid not null references app.person on delete cascade,
  code_hash bytea not null,
  used_at timestamptz,
  primary key (person_id, code_hash)
);
create table app.passkey (
  id uuid primary key,
  person_id uuid not null references app.person on delete cascade,
  credential_id bytea not null unique,
  public_key bytea not null,
  sign_count bigint not null default 0,
  name text not null check (length(name) between 1 and 100),
  created_at timestamptz not null default now(),
  last_used_at timestamptz
);
create index passkey_person on app.passkey (person_id);

call app.protect_person('app.totp', 'person_id');
call app.protect_person('app.recovery_code', 'person_id');
call app.protect_person('app.passkey', 'person_id');

-- An OpenID Connect provider of one workspace, or of the whole installation under the id zero.
create table app.oidc_provider (
  org_id uuid not null default app.org(),
  id uuid not null unique,
  name text not null check (length(name) between 1 and 100),
  issuer text not null,
  client_id text not null,
  secret_sealed bytea not null,
  secret_end text not null,
  role text check (role in ('admin', 'member', 'viewer')),  -- of people it brings along; null: only invited ones
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, issuer, client_id)
);
call app.protect('app.oidc_provider', lookup => true);

create table app.oidc_identity (
  provider_id uuid not null,
  subject text not null,
  person_id uuid not null references app.person on delete cascade,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  primary key (provider_id, subject)
);
create index oidc_identity_person on app.oidc_identity (person_id);
call app.protect_person('app.oidc_identity', 'person_id');

-- A person's row refers to no tenant's: what a deleted provider vouched for goes with it by this trigger.
create function app.forget_oidc_identities() returns trigger
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  delete from app.oidc_identity where provider_id = old.id;
  return null;
end $$;
create trigger forget_identities after delete on app.oidc_provider
  for each row execute function app.forget_oidc_identities();

-- Log-ins over the API. A grant is a chain of refresh tokens; using one twice revokes the grant (RFC 9700).
create table app.api_grant (
  id uuid primary key,
  person_id uuid not null references app.person on delete cascade,
  workspace_id uuid not null references app.organization on delete cascade,
  device text not null default '',
  address text not null default '',
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  revoked_at timestamptz
);
create index api_grant_person on app.api_grant (person_id);
create table app.refresh_token (
  token_hash bytea primary key,
  grant_id uuid not null references app.api_grant on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz
);
create index refresh_token_grant on app.refresh_token (grant_id);
create index refresh_token_expiry on app.refresh_token (expires_at);
call app.protect_person('app.api_grant', 'person_id');

-- Letters on their way. They hold addresses and single-use links, so they are sealed and gone once sent.
create table app.letter (
  id uuid primary key,
  of_org uuid,  -- whose job sends it; null: no workspace's
  sealed bytea not null,
  created_at timestamptz not null default now()
);
