-- Second factors that a workspace demands, and log-ins that end unused.
alter table app.organization
  add needs_second_factor boolean not null default false;

-- is_strong: this log-in has shown a second factor. idle_life: it ends when it was not used for so long.
alter table app.web_session
  add is_strong boolean not null default false,
  add idle_life interval not null default interval '8 hours';
update app.web_session set idle_life = interval '7 days' where remembered;
alter table app.api_grant
  add is_strong boolean not null default false;

create function app.has_any_factor(who uuid) returns boolean
language sql stable security definer set search_path = app, pg_temp as $$
  select exists (select from app.totp where person_id = who and confirmed_at is not null)
      or exists (select from app.passkey where person_id = who)
$$;

-- Whether somebody of whom a second factor is demanded has one: then a password alone confirms nothing of theirs,
-- or it could be used to add another factor.
create function app.must_show_factor(who uuid) returns boolean
language sql stable security definer set search_path = app, pg_temp as $$
  select app.has_any_factor(who)
     and (exists (select from app.person p where p.id = who and p.is_platform_admin)
          or exists (select from app.member m join app.organization o on o.id = m.org_id
                      where m.person_id = who and m.status = 'active' and o.needs_second_factor))
$$;

drop function app.memberships_of(uuid);
create function app.memberships_of(who uuid)
returns table (org_id uuid, number bigint, slug text, name text, role text, delete_at timestamptz,
               needs_second_factor boolean)
language sql stable security definer set search_path = app, pg_temp as $$
  select o.id, o.number, o.slug, o.name, m.role, o.delete_at, o.needs_second_factor
    from app.member m join app.organization o on o.id = m.org_id join app.person p on p.id = m.person_id
   where m.person_id = who and m.status = 'active' and o.suspended_at is null and p.suspended_at is null
     and p.erased_at is null
   order by m.created_at, o.number
$$;

-- is_use: false for what a page asks by itself, which does not keep the log-in alive.
drop function app.session_by_hash(bytea);
create function app.session_by_hash(wanted bytea, is_use boolean default true)
returns table (session_id uuid, person_id uuid, expires_at timestamptz, confirmed_at timestamptz, workspace_id uuid,
               impersonator_id uuid, is_strong boolean)
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  update app.web_session s set last_seen_at = now()
   where is_use and s.token_hash = wanted and s.last_seen_at < now() - interval '1 minute'
     and s.last_seen_at + s.idle_life > now();
  return query
  select s.id, s.person_id, s.expires_at, s.confirmed_at, s.workspace_id, s.impersonator_id, s.is_strong
    from app.web_session s join app.person p on p.id = s.person_id
   where s.token_hash = wanted and s.expires_at > now() and s.last_seen_at + s.idle_life > now()
     and p.suspended_at is null and p.erased_at is null;
end $$;

-- Whether the log-in behind an access token has shown a second factor; null if it has ended. It is one over the API, or
-- that of an administrator who looks through the person's eyes.
create function app.grant_strength(who uuid, wanted uuid, impersonator uuid) returns boolean
language sql stable security definer set search_path = app, pg_temp as $$
  select is_strong from app.api_grant
   where impersonator is null and id = wanted and person_id = who and revoked_at is null
  union all
  select is_strong from app.web_session s
   where s.id = wanted and s.person_id = who and s.impersonator_id = impersonator and s.expires_at > now()
$$;

-- A page that is open when its workspace begins to demand a second factor hears nothing more either.
create or replace function app.ended_entries(sessions uuid[], orgs uuid[])
returns table (session_id uuid, org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select e.session, e.org from unnest(sessions, orgs) as e (session, org)
   where not exists (select from app.web_session s, app.memberships_of(s.person_id) m
                      where s.id = e.session and s.expires_at > now() and s.last_seen_at + s.idle_life > now()
                        and m.org_id = e.org
                        and (s.is_strong or s.workspace_id is not null or not m.needs_second_factor))
$$;

create or replace function app.forget_sessions() returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.web_session where expires_at < now() or last_seen_at + idle_life < now();
  delete from app.one_time_token where expires_at < now() - interval '1 day';
  delete from app.refresh_token where expires_at < now();
  delete from app.api_grant g where created_at < now() - interval '1 day'
     and not exists (select from app.refresh_token t where t.grant_id = g.id);
  delete from app.idempotency_key where created_at < now() - interval '1 day';
  delete from app.letter where created_at < now() - interval '2 days';
$$;
