-- When a held chat resumes follows from the rule of now and from when its person wrote last: a rule that changes acts
-- on the chats that are held already.
alter table app.conversation add column quiet_since timestamptz; -- of a held chat: when its person wrote last
alter table app.conversation no force row level security; -- forced, it hides the rows from the owner too
update app.conversation c
   set quiet_since = coalesce(c.resume_at - o.resume_after_hours * interval '1 hour', c.taken_over_at)
  from app.organization o where o.id = c.org_id and c.taken_over_at is not null;
alter table app.conversation force row level security;
alter table app.conversation drop column resume_at;
create index conversation_quiet on app.conversation (org_id, quiet_since) where quiet_since is not null;
delete from jobs.pgqueuer where entrypoint = 'conversations.resume'; -- a schedule looks for what is due

create function app.resume_at(quiet_since timestamptz) returns timestamptz language sql stable as $$
  select quiet_since + nullif(o.resume_after_hours, 0) * interval '1 hour' from app.organization o
   where o.id = app.org()
$$;

create policy lookup on app.conversation for select to current_user using (true);
create function app.resumes_due(most integer) returns table (org_id uuid, conversation_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select c.org_id, c.id
    from app.organization o
         join app.conversation c on c.org_id = o.id
              and c.quiet_since < clock_timestamp() - o.resume_after_hours * interval '1 hour'
   where o.resume_after_hours > 0 and o.delete_at is null and o.suspended_at is null
   order by c.quiet_since limit most
$$;
