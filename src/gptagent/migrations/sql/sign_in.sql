-- The buttons of a workspace's own log-in page, which is named by its number.
create function app.oidc_providers_of(of_number bigint) returns table (id uuid, name text)
language sql stable security definer set search_path = app, pg_temp as $$
  select p.id, p.name from app.oidc_provider p join app.organization o on o.id = p.org_id
   where o.number = of_number and o.suspended_at is null order by p.created_at
$$;
