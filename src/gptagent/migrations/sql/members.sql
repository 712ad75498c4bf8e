-- The members of the transaction's own workspace. A person's row is visible to the person only, so a function answers.
-- Last seen: by a log-in of a browser that enters this workspace, or over its API.
create function app.workspace_people()
returns table (person_id uuid, full_name text, email text, role text, status text, joined_at timestamptz,
               last_seen_at timestamptz)
language sql stable security definer set search_path = app, pg_temp as $$
  select m.person_id, p.full_name, p.email, m.role, m.status, m.created_at,
         greatest((select max(s.last_seen_at) from app.web_session s
                    where s.person_id = m.person_id and s.impersonator_id is null
                      and (s.workspace_id is null or s.workspace_id = m.org_id)),
                  (select max(g.last_used_at) from app.api_grant g
                    where g.person_id = m.person_id and g.workspace_id = m.org_id))
    from app.member m join app.person p on p.id = m.person_id
   where m.org_id = app.org()
   order by array_position(array['owner', 'admin', 'member', 'viewer'], m.role), m.created_at, m.person_id
$$;
