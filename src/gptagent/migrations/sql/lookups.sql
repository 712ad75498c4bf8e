-- Every question that is asked before a tenant or a person is known. By hash where there is a secret; answers ids.
create function app.credential_by_email(wanted text) returns table (person_id uuid, password_hash text)
language sql stable security definer set search_path = app, pg_temp as $$
  select c.person_id, c.password_hash from app.credential c join app.person p on p.id = c.person_id
   where p.email = wanted
$$;

create function app.session_by_hash(wanted bytea)
returns table (session_id uuid, person_id uuid, expires_at timestamptz)
language sql stable security definer set search_path = app, pg_temp as $$
  select s.id, s.person_id, s.expires_at from app.web_session s
   where s.token_hash = wanted and s.expires_at > now()
$$;

create function app.memberships_of(who uuid)
returns table (org_id uuid, number bigint, slug text, name text, role text)
language sql stable security definer set search_path = app, pg_temp as $$
  select o.id, o.number, o.slug, o.name, m.role from app.member m join app.organization o on o.id = m.org_id
   where m.person_id = who order by m.created_at, o.number
$$;

create function app.connection_by_hook(wanted bytea)
returns table (org_id uuid, connection_id uuid, account_id bigint)
language sql stable security definer set search_path = app, pg_temp as $$
  select c.org_id, c.id, c.account_id from app.crm_connection c where c.hook_hash = wanted
$$;

-- Housekeeping over all people: what is past its use.
create function app.forget_sessions() returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.web_session where expires_at < now()
$$;

create function app.has_people() returns boolean
language sql stable security definer set search_path = app, pg_temp as $$
  select exists (select from app.person)
$$;

create function app.offer_setup(hash bytea) returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.setup_link where used_at is null;
  insert into app.setup_link (token_hash) values (hash);
$$;

create function app.setup_is_open(hash bytea) returns boolean
language sql stable security definer set search_path = app, pg_temp as $$
  select exists (select from app.setup_link where token_hash = hash and used_at is null)
$$;

create function app.use_setup(hash bytea) returns boolean
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  update app.setup_link set used_at = now() where token_hash = hash and used_at is null;
  return found;
end $$;

create function app.queue_depths() returns table (state text, jobs bigint)
language sql stable security definer set search_path = app, jobs, pg_temp as $$
  select status::text, count(*) from jobs.pgqueuer group by status
$$;

create function app.count_lanes_overdue(late interval) returns bigint
language sql stable security definer set search_path = app, pg_temp as $$
  select count(*) from app.lane where due_at < clock_timestamp() - late
$$;

create function app.connection_counts() returns table (status text, connections bigint)
language sql stable security definer set search_path = app, pg_temp as $$
  select status, count(*) from app.crm_connection group by status
$$;
