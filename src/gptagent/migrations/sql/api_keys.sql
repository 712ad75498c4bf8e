create index api_key_recent on app.api_key (org_id, created_at);

-- Names of those who made keys of the transaction's workspace: people are rows of no tenant.
create function app.api_key_makers() returns table (person_id uuid, full_name text)
language sql stable security definer set search_path = app, pg_temp as $$
  select p.id, p.full_name from app.person p
   where p.id in (select k.created_by from app.api_key k where k.org_id = app.org())
$$;
