-- What a person does about their own account.
alter table app.api_grant
  add confirmed_at timestamptz not null default now();  -- when the password or second factor was last given
