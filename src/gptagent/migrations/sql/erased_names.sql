-- A person's name also stands where they wrote, handed over or decided: it goes with them from there as well.
-- Takes everything personal out of a person's row and deletes what lets them in. The row stays, so that what refers
-- to it holds. Each workspace they leave gets a row in its chain. Returns the key of the avatar's file.
create or replace function app.erase_person(who uuid, request text) returns text
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
    update app.turn set draft_by = '' where draft_by = person.full_name;
    update app.action_proposal set decided_by = '' where decided_by = person.full_name;
    update app.handoff set by_name = '' where made_by = 'person' and by_name = person.full_name;
    update app.message m set author_name = '' from app.outgoing o
     where o.agent_id is null and m.conversation_id = o.conversation_id and m.seq = o.seq
       and m.author = 'human' and m.author_name = person.full_name;
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
