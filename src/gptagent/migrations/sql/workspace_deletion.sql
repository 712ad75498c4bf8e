-- Deletes a workspace with everything in it and closes its chain. What stays: the head of the chain, and a row in the
-- platform's own chain that names it. Returns false if the workspace is not due.
create function app.delete_workspace(workspace uuid) returns boolean
language plpgsql security definer set search_path = app, jobs, pg_temp as $$
declare
  before text := current_setting('app.org_id', true);
  head app.audit_head;
  tenant_table regclass;
begin
  perform from app.organization where id = workspace and delete_at <= now() for update;
  if not found then
    return false;
  end if;
  perform set_config('app.org_id', workspace::text, true);  -- force binds the owner as well
  select * into head from app.audit_head where chain = workspace for update;
  delete from app.organization where id = workspace;
  for tenant_table in
    select c.oid::regclass from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p') and a.attname = 'org_id' and not a.attisdropped
  loop
    execute format('delete from %s where org_id = $1', tenant_table) using workspace;
  end loop;
  delete from jobs.pgqueuer j where j.headers->>'org' = workspace::text and j.status <> 'picked';
  update app.audit_head set closed_at = now() where chain = workspace;
  perform app.audit_append('system', null, null, 'workspace.deleted', 'workspace', workspace::text,
    jsonb_build_object('audit_rows', jsonb_build_array(head.seq, 0),
                       'audit_head', jsonb_build_array(encode(head.hash, 'hex'), null)),
    null, null, null, '', true);
  perform set_config('app.org_id', coalesce(before, ''), true);
  return true;
end $$;

create function app.workspaces_to_delete() returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select id from app.organization where delete_at <= now()
$$;
