-- How people read the audit: whom its rows name. Names stand in no row, and a person's row is visible to that person
-- only, so these functions answer for the transaction's own chain.
create index audit_event_actor on app.audit_event (org_id, actor_id, seq desc);

create function app.audit_chain() returns uuid language sql stable as
  $$ select coalesce(app.org(), '00000000-0000-0000-0000-000000000000') $$;

create function app.audit_names(low bigint, high bigint)
returns table (person_id uuid, full_name text, is_erased boolean)
language sql stable security definer set search_path = app, pg_temp as $$
  with named as (
    select e.actor_id, e.acting_for, case when e.target_kind in ('person', 'member') then e.target_id end as target
      from app.audit_event e where e.org_id = app.audit_chain() and e.seq between low and high
  ), ids as (
    select actor_id::text as id from named union select acting_for::text from named union select target from named
  )
  select p.id, p.full_name, p.erased_at is not null from ids i join app.person p on p.id::text = i.id
$$;

create function app.audit_actors() returns table (person_id uuid, full_name text, is_erased boolean)
language sql stable security definer set search_path = app, pg_temp as $$
  with recursive actors as (
    (select e.actor_id from app.audit_event e
      where e.org_id = app.audit_chain() and e.actor_id is not null order by e.actor_id limit 1)
    union all
    select (select e.actor_id from app.audit_event e
             where e.org_id = app.audit_chain() and e.actor_id > a.actor_id order by e.actor_id limit 1)
      from actors a where a.actor_id is not null
  )
  select p.id, p.full_name, p.erased_at is not null from actors a join app.person p on p.id = a.actor_id
$$;

-- What administrators of the platform see and do, over all workspaces and people. Each function answers only in a
-- transaction of the platform itself, under the id zero: no member's request and no job has that.
create function app.on_platform() returns boolean language sql stable as
  $$ select app.org() is not distinct from '00000000-0000-0000-0000-000000000000'::uuid $$;

-- `wanted` is one workspace's number; else those below `before`, the newest first.
create function app.admin_organizations(search text, wanted bigint, before bigint, page int)
returns table (org_id uuid, number bigint, slug text, name text, created_at timestamptz, suspended_at timestamptz,
               delete_at timestamptz, members bigint, agents bigint, last_active_at timestamptz)
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  o app.organization;
  mine text := current_setting('app.org_id', true);
begin
  if not app.on_platform() then
    return;
  end if;
  for o in
    select * from app.organization x
     where (wanted is null or x.number = wanted) and (before is null or x.number < before)
       and (search = '' or position(lower(search) in lower(x.name)) > 0 or x.number::text = search)
     order by x.number desc limit page
  loop
    perform set_config('app.org_id', o.id::text, true);  -- force binds the owner as well
    org_id := o.id;
    number := o.number;
    slug := o.slug;
    name := o.name;
    created_at := o.created_at;
    suspended_at := o.suspended_at;
    delete_at := o.delete_at;
    members := (select count(*) from app.member m where m.org_id = o.id);
    agents := (select count(*) from app.agent a where a.org_id = o.id);
    last_active_at := greatest(
      (select max(c.last_message_at) from app.conversation c where c.org_id = o.id),
      (select e.at from app.audit_event e where e.org_id = o.id order by e.seq desc limit 1));
    return next;
  end loop;
  perform set_config('app.org_id', mine, true);
end $$;

create function app.admin_members(workspace uuid)
returns table (person_id uuid, full_name text, email text, role text, status text, is_platform_admin boolean,
               is_suspended boolean)
language sql stable security definer set search_path = app, pg_temp as $$
  select p.id, p.full_name, p.email, m.role, m.status, p.is_platform_admin, p.suspended_at is not null
    from app.member m join app.person p on p.id = m.person_id
   where app.on_platform() and m.org_id = workspace
   order by array_position(array['owner', 'admin', 'member', 'viewer'], m.role), m.created_at, p.id
   limit 200
$$;

-- By the exact address or the beginning of the first or last name, the newest first.
create function app.admin_people(search text, wanted uuid, before uuid, page int)
returns table (person_id uuid, full_name text, email text, created_at timestamptz, suspended_at timestamptz,
               erased_at timestamptz, is_platform_admin boolean, workspaces bigint, last_seen_at timestamptz,
               has_second_factor boolean)
language sql stable security definer set search_path = app, pg_temp as $$
  select p.id, p.full_name, p.email, p.created_at, p.suspended_at, p.erased_at, p.is_platform_admin,
         (select count(*) from app.member m where m.person_id = p.id),
         greatest((select max(s.last_seen_at) from app.web_session s
                    where s.person_id = p.id and s.impersonator_id is null),
                  (select max(g.last_used_at) from app.api_grant g where g.person_id = p.id)),
         app.has_second_factor(p.id)
    from app.person p
   where app.on_platform() and (wanted is null or p.id = wanted) and (before is null or p.id < before)
     and (search = '' or p.email = lower(btrim(search)) or starts_with(lower(p.full_name), lower(btrim(search)))
          or starts_with(lower(p.family_name), lower(btrim(search))))
   order by p.id desc limit page
$$;

create function app.admin_memberships(who uuid)
returns table (org_id uuid, number bigint, name text, role text, status text, is_suspended boolean)
language sql stable security definer set search_path = app, pg_temp as $$
  select o.id, o.number, o.name, m.role, m.status, o.suspended_at is not null
    from app.member m join app.organization o on o.id = m.org_id
   where app.on_platform() and m.person_id = who order by m.created_at, o.number limit 200
$$;

-- Returns whether anything changed.
create function app.admin_suspend_organization(workspace uuid, suspended boolean) returns boolean
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  update app.organization o set suspended_at = case when suspended then now() end
   where app.on_platform() and o.id = workspace and (o.suspended_at is not null) is distinct from suspended;
  return found;
end $$;

-- Locks every administrator, so that two of them cannot put each other out, and says whether `who` is the last.
create function app.admin_is_last(who uuid) returns boolean
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  active uuid[];
begin
  active := array(select p.id from app.person p
                   where p.is_platform_admin and p.suspended_at is null and p.erased_at is null
                   order by p.id for update);
  return active = array[who];
end $$;

-- What an administrator of the platform holds beside their own log-ins.
create function app.admin_take_rights(who uuid) returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.web_session s where app.on_platform() and s.impersonator_id = who;
  update app.api_key k set revoked_at = now()
   where app.on_platform() and k.org_id = app.org() and k.created_by = who and k.revoked_at is null;
$$;

-- `outcome` of the next two: done, unchanged, missing, last (administrator: nothing was changed).
create function app.admin_suspend_person(who uuid, suspended boolean) returns text
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  p app.person;
begin
  if suspended and app.admin_is_last(who) then
    return 'last';
  end if;
  select * into p from app.person x where app.on_platform() and x.id = who and x.erased_at is null for update;
  if not found then
    return 'missing';
  elsif (p.suspended_at is not null) = suspended then
    return 'unchanged';
  end if;
  update app.person x set suspended_at = case when suspended then now() end where x.id = who;
  if suspended then
    perform app.end_entries(who, null);
    perform app.admin_take_rights(who);
    delete from app.one_time_token t where t.person_id = who;
  end if;
  return 'done';
end $$;

create function app.admin_appoint(who uuid, appointed boolean) returns text
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  p app.person;
begin
  if not appointed and app.admin_is_last(who) then
    return 'last';
  end if;
  select * into p from app.person x where app.on_platform() and x.id = who and x.erased_at is null for update;
  if not found then
    return 'missing';
  elsif p.is_platform_admin = appointed then
    return 'unchanged';
  end if;
  update app.person x set is_platform_admin = appointed where x.id = who;
  if not appointed then
    perform app.admin_take_rights(who);
  end if;
  return 'done';
end $$;

create function app.admin_figures()
returns table (database_bytes bigint, people bigint, organizations bigint, agents_estimate bigint,
               messages_estimate bigint, administrators bigint)
language sql stable security definer set search_path = app, pg_temp as $$
  select pg_database_size(current_database()), (select count(*) from app.person where erased_at is null),
         (select count(*) from app.organization),
         (select greatest(reltuples, 0)::bigint from pg_class where oid = 'app.agent'::regclass),
         (select greatest(reltuples, 0)::bigint from pg_class where oid = 'app.message'::regclass),
         (select count(*) from app.person where is_platform_admin and suspended_at is null and erased_at is null)
   where app.on_platform()
$$;

-- An impersonation ends in several ways: by its button, log-out, the person, a suspension, its time. Whichever it is,
-- both chains tell of it. A workspace that is being deleted has no chain any more.
create function app.end_impersonation() returns trigger
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  before text := current_setting('app.org_id', true);
begin
  perform set_config('app.org_id', coalesce(old.workspace_id::text, ''), true);
  if exists (select from app.organization where id = old.workspace_id) then
    perform app.audit_append('person', old.impersonator_id, old.person_id, 'impersonation.ended', 'person',
      old.person_id::text, '{}', null, null, null, '', false);
  end if;
  perform app.audit_append('person', old.impersonator_id, old.person_id, 'impersonation.ended', 'person',
    old.person_id::text, '{}', null, null, null, '', true);
  perform set_config('app.org_id', coalesce(before, ''), true);
  return null;
end $$;
create trigger end_impersonation after delete on app.web_session
  for each row when (old.impersonator_id is not null) execute function app.end_impersonation();
