-- Erasing a person, and what is forgotten in time.
create index crm_event_age on app.crm_event (org_id, received_at);

-- Workspaces this person is the only active owner of, and '' if they are the platform's only administrator. A
-- workspace that is to be deleted anyway is none.
create function app.obstacles_to_erasure(who uuid) returns table (workspace text)
language sql stable security definer set search_path = app, pg_temp as $$
  select o.name from app.member m join app.organization o on o.id = m.org_id
   where m.person_id = who and m.role = 'owner' and o.delete_at is null
     and not exists (select from app.member other join app.person p on p.id = other.person_id
                      where other.org_id = m.org_id and other.person_id <> who and other.role = 'owner'
                        and other.status = 'active' and p.suspended_at is null and p.erased_at is null)
  union all
  select '' from app.person p where p.id = who and p.is_platform_admin
     and not exists (select from app.person other where other.id <> who and other.is_platform_admin
                        and other.suspended_at is null and other.erased_at is null)
$$;

create function app.hold_workspaces_of(who uuid) returns void
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  perform from app.organization where id in (select org_id from app.member where person_id = who) order by id for update;
end $$;

-- Takes everything personal out of a person's row and deletes what lets them in. The row stays, so that what refers
-- to it holds. Each workspace they leave gets a row in its chain. Returns the key of the avatar's file.
create function app.erase_person(who uuid, request text) returns text
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  before text := current_setting('app.org_id', true);
  person app.person;
  workspace uuid;
begin
  select * into person from app.person where id = who and erased_at is null for update;
  if not found then
    return null;
  end if;
  for workspace in select org_id from app.member where person_id = who order by org_id loop
    perform set_config('app.org_id', workspace::text, true);  -- force binds the owner as well
    update app.conversation set taken_over_by = '' where taken_over_by = person.full_name;
    perform app.audit_append('person', who, null, 'member.erased', 'person', who::text, '{}', null, null, null,
                             request, false);
  end loop;
  perform set_config('app.org_id', coalesce(before, ''), true);
  delete from app.member where person_id = who;
  delete from app.invitation where email = person.email or accepted_by = who;
  delete from app.web_session where person_id = who or impersonator_id = who;
  delete from app.api_grant where person_id = who;
  delete from app.one_time_token where person_id = who;
  delete from app.credential where person_id = who;
  delete from app.totp where person_id = who;
  delete from app.recovery_code where person_id = who;
  delete from app.passkey where person_id = who;
  delete from app.oidc_identity where person_id = who;
  delete from app.person_key where person_id = who;
  update app.person set email = 'erased-' || who || '@erased.invalid', full_name = 'Erased', locale = 'en',
         is_platform_admin = false, email_verified_at = null, avatar_key = null, erased_at = now()
   where id = who;
  return person.avatar_key;
end $$;

create function app.workspaces_to_tidy() returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select id from app.organization order by id
$$;

-- What is left of an erased conversation: by which a delivery the CRM repeats is known, and which says nothing of anybody.
create table app.erased_message (
  org_id uuid not null default app.org(),
  connection_id uuid not null,
  message_hash bytea not null,
  erased_at timestamptz not null default now(),
  primary key (org_id, connection_id, message_hash),
  foreign key (org_id, connection_id) references app.crm_connection on delete cascade
);
create index erased_message_age on app.erased_message (org_id, erased_at);
call app.protect('app.erased_message');
