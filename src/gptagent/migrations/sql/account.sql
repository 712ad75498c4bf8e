-- What a person does about their own account.
alter table app.api_grant
  add confirmed_at timestamptz not null default now();  -- when the password or second factor was last given

-- What was begun under a password that has been changed: half-finished log-ins, reset links.
create function app.void_tokens(who uuid) returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.one_time_token where person_id = who and kind in ('reset_password', 'second_factor', 'passkey')
$$;
