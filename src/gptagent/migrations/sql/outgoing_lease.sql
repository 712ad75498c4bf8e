-- One run at a time works on a message owed outside of a turn, and it is known when it is to be looked at next.
alter table app.outgoing
  add column claim bigint not null default 0,  -- counts the runs: what an earlier one thinks does not count any more
  add column job_id bigint,
  add column lease_until timestamptz,          -- the job of this run has it until then; null: nobody
  add column due_at timestamptz;               -- not looked at before; null: at once
create index outgoing_open on app.outgoing (coalesce(due_at, created_at)) where state in ('waiting', 'sending');

-- What is first in its chat and due, but reached by no queued job: that was held, or lost.
create policy lookup on app.outgoing for select to current_user using (true);
create function app.outgoing_overdue(late interval, most integer) returns table (org_id uuid, conversation_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select o.org_id, o.conversation_id from app.outgoing o
   where o.state in ('waiting', 'sending') and coalesce(o.due_at, o.created_at) < clock_timestamp() - late
     and coalesce(o.lease_until, '-infinity') < clock_timestamp()
     and not exists (select from app.outgoing e
                      where e.org_id = o.org_id and e.conversation_id = o.conversation_id and e.seq < o.seq
                        and e.state in ('waiting', 'sending'))
   order by coalesce(o.due_at, o.created_at) limit most
$$;
