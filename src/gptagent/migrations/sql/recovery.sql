-- A person gets back in, or moves to another address: every link and half-finished log-in from before is void.
create function app.void_links(who uuid) returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.one_time_token where person_id = who and kind <> 'verify_email'
$$;
