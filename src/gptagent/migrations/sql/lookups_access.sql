-- Questions asked before a tenant or a person is known (see lookups.sql), of everything a credential may be.
-- Whoever is suspended or gone has none.
create or replace function app.credential_by_email(wanted text) returns table (person_id uuid, password_hash text)
language sql stable security definer set search_path = app, pg_temp as $$
  select c.person_id, c.password_hash from app.credential c join app.person p on p.id = c.person_id
   where p.email = wanted and p.suspended_at is null and p.erased_at is null
$$;

drop function app.session_by_hash(bytea);
create function app.session_by_hash(wanted bytea)
returns table (session_id uuid, person_id uuid, expires_at timestamptz, confirmed_at timestamptz, workspace_id uuid,
               impersonator_id uuid)
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  update app.web_session s set last_seen_at = now()
   where s.token_hash = wanted and s.last_seen_at < now() - interval '1 minute';
  return query
  select s.id, s.person_id, s.expires_at, s.confirmed_at, s.workspace_id, s.impersonator_id
    from app.web_session s join app.person p on p.id = s.person_id
   where s.token_hash = wanted and s.expires_at > now() and p.suspended_at is null and p.erased_at is null;
end $$;

drop function app.memberships_of(uuid);
create function app.memberships_of(who uuid)
returns table (org_id uuid, number bigint, slug text, name text, role text, delete_at timestamptz)
language sql stable security definer set search_path = app, pg_temp as $$
  select o.id, o.number, o.slug, o.name, m.role, o.delete_at
    from app.member m join app.organization o on o.id = m.org_id join app.person p on p.id = m.person_id
   where m.person_id = who and m.status = 'active' and o.suspended_at is null and p.suspended_at is null
     and p.erased_at is null
   order by m.created_at, o.number
$$;

-- Of these sessions in these workspaces (two lists of equal length) those that may not go on.
create function app.ended_entries(sessions uuid[], orgs uuid[]) returns table (session_id uuid, org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select e.session, e.org from unnest(sessions, orgs) as e (session, org)
   where not exists (select from app.web_session s, app.memberships_of(s.person_id) m
                      where s.id = e.session and s.expires_at > now() and m.org_id = e.org)
$$;

create function app.grant_is_live(who uuid, wanted uuid) returns boolean
language sql stable security definer set search_path = app, pg_temp as $$
  select exists (select from app.api_grant where id = wanted and person_id = who and revoked_at is null)
$$;

create function app.api_key_by_hash(wanted bytea) returns table (org_id uuid, key_id uuid, scopes text[])
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  update app.api_key k set last_used_at = now()
   where k.key_hash = wanted and coalesce(k.last_used_at, '-infinity') < now() - interval '1 minute';
  return query
  select k.org_id, k.id, k.scopes from app.api_key k left join app.organization o on o.id = k.org_id
   where k.key_hash = wanted and k.revoked_at is null and coalesce(k.expires_at, 'infinity') > now()
     and o.suspended_at is null;
end $$;

create function app.invitation_by_hash(wanted bytea)
returns table (org_id uuid, invitation_id uuid, workspace text, email text, role text, invited_by text,
               by_letter boolean)
language sql stable security definer set search_path = app, pg_temp as $$
  select i.org_id, i.id, o.name, i.email, i.role, p.full_name, i.by_letter
    from app.invitation i join app.organization o on o.id = i.org_id left join app.person p on p.id = i.invited_by
   where i.token_hash = wanted and i.revoked_at is null and i.accepted_at is null and i.expires_at > now()
     and o.suspended_at is null
$$;

create function app.person_by_email(wanted text) returns uuid
language sql stable security definer set search_path = app, pg_temp as $$
  select id from app.person where email = wanted and suspended_at is null and erased_at is null
$$;

create function app.passkey_by_credential(wanted bytea)
returns table (passkey_id uuid, person_id uuid, public_key bytea, sign_count bigint)
language sql stable security definer set search_path = app, pg_temp as $$
  select k.id, k.person_id, k.public_key, k.sign_count from app.passkey k join app.person p on p.id = k.person_id
   where k.credential_id = wanted and p.suspended_at is null and p.erased_at is null
$$;

create function app.has_second_factor(who uuid) returns boolean
language sql stable security definer set search_path = app, pg_temp as $$
  select exists (select from app.totp where person_id = who and confirmed_at is not null)
$$;

create function app.oidc_providers(of_org uuid) returns table (id uuid, name text)
language sql stable security definer set search_path = app, pg_temp as $$
  select id, name from app.oidc_provider where org_id = of_org order by created_at
$$;
create function app.oidc_provider_by_id(wanted uuid)
returns table (org_id uuid, id uuid, name text, issuer text, client_id text, secret_sealed bytea, role text)
language sql stable security definer set search_path = app, pg_temp as $$
  select org_id, id, name, issuer, client_id, secret_sealed, role from app.oidc_provider where id = wanted
$$;
create function app.oidc_person(provider uuid, wanted text) returns uuid
language sql stable security definer set search_path = app, pg_temp as $$
  select i.person_id from app.oidc_identity i join app.person p on p.id = i.person_id
   where i.provider_id = provider and i.subject = wanted and p.suspended_at is null and p.erased_at is null
$$;

-- A new token of a kind makes a person's older ones of that kind void.
create function app.offer_token(hash bytea, of_kind text, who uuid, held bytea, life interval) returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.one_time_token where person_id = who and kind = of_kind;
  insert into app.one_time_token (token_hash, kind, person_id, payload, expires_at)
  values (hash, of_kind, who, held, now() + life);
$$;
create function app.peek_token(hash bytea, of_kind text) returns table (person_id uuid, payload bytea)
language sql stable security definer set search_path = app, pg_temp as $$
  select person_id, payload from app.one_time_token
   where token_hash = hash and kind = of_kind and used_at is null and expires_at > now()
$$;
create function app.use_token(hash bytea, of_kind text) returns table (person_id uuid, payload bytea)
language sql security definer set search_path = app, pg_temp as $$
  update app.one_time_token t set used_at = now()
   where token_hash = hash and kind = of_kind and used_at is null and expires_at > now()
  returning t.person_id, t.payload
$$;

-- Exchanges a refresh token for the next one. `outcome`: next, unknown, ended, or reused - then its grant is revoked.
-- However often it is renewed, a log-in over the API ends 30 days after it began, like one of a browser.
create function app.use_refresh_token(hash bytea, next_hash bytea, life interval)
returns table (outcome text, grant_id uuid, person_id uuid, workspace_id uuid)
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  token app.refresh_token;
  held app.api_grant;
  ends timestamptz;
begin
  select * into token from app.refresh_token t where t.token_hash = hash for update;
  if token is null then
    return query select 'unknown', null::uuid, null::uuid, null::uuid;
    return;
  end if;
  select * into held from app.api_grant g where g.id = token.grant_id for update;
  ends := held.created_at + interval '30 days';
  if held.revoked_at is not null or least(token.expires_at, ends) <= now() then
    outcome := 'ended';
  elsif token.used_at is not null then
    update app.api_grant g set revoked_at = now() where g.id = token.grant_id;
    outcome := 'reused';
  else
    update app.refresh_token t set used_at = now() where t.token_hash = hash;
    insert into app.refresh_token (token_hash, grant_id, expires_at)
    values (next_hash, token.grant_id, least(now() + life, ends));
    update app.api_grant g set last_used_at = now() where g.id = token.grant_id;
    outcome := 'next';
  end if;
  return query select outcome, held.id, held.person_id, held.workspace_id;
end $$;
create function app.begin_refresh(of_grant uuid, hash bytea, life interval) returns void
language sql security definer set search_path = app, pg_temp as $$
  insert into app.refresh_token (token_hash, grant_id, expires_at) values (hash, of_grant, now() + life)
$$;

create function app.keep_letter(wanted uuid, held bytea) returns void
language sql security definer set search_path = app, pg_temp as $$
  insert into app.letter (id, of_org, sealed)
  values (wanted, nullif(app.org(), '00000000-0000-0000-0000-000000000000'), held)
$$;
create function app.read_letter(wanted uuid) returns bytea
language sql stable security definer set search_path = app, pg_temp as $$
  select sealed from app.letter where id = wanted
     and of_org is not distinct from nullif(app.org(), '00000000-0000-0000-0000-000000000000')
$$;
create function app.forget_letter(wanted uuid) returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.letter where id = wanted
     and of_org is not distinct from nullif(app.org(), '00000000-0000-0000-0000-000000000000')
$$;

-- Whoever is taken out of a workspace, or suspended (then no workspace is named), has no key to it from now on.
create function app.end_entries(who uuid, workspace uuid) returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.web_session s where s.person_id = who and (workspace is null or s.workspace_id = workspace);
  update app.api_grant g set revoked_at = now()
   where g.person_id = who and (workspace is null or g.workspace_id = workspace) and g.revoked_at is null;
$$;

-- Housekeeping over all people: what is past its use.
create or replace function app.forget_sessions() returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.web_session where expires_at < now();
  delete from app.one_time_token where expires_at < now() - interval '1 day';
  delete from app.refresh_token where expires_at < now();
  delete from app.api_grant g where created_at < now() - interval '1 day'
     and not exists (select from app.refresh_token t where t.grant_id = g.id);
  delete from app.idempotency_key where created_at < now() - interval '1 day';
  delete from app.letter where created_at < now() - interval '2 days';
$$;
