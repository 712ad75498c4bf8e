-- Of which part of the base a question was asked: the categories that the agent is kept to, null for all of it. Whether
-- it is answered by now is asked of the same part.
alter table app.asked_question add column categories uuid[];

-- When the last measurement of the graph's names failed: the schedule begins none for an hour, or what fails always
-- would be queued all the time.
alter table app.graph_benefit add column failed_at timestamptz;

create or replace function app.graphs_to_measure(rest interval, most integer) returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select b.org_id from app.graph_benefit b
         join app.organization o on o.id = b.org_id and o.delete_at is null and o.suspended_at is null
         join app.lexical_stats s on s.org_id = b.org_id and s.chunks > 0
   where b.changed_at < now() - rest and s.changed_at < now() - rest
     and (b.queued_at is null or b.queued_at < now() - interval '1 hour')
     and (b.failed_at is null or b.failed_at < now() - interval '1 hour')
     and (b.measured_at is null or b.changed_at > b.measured_at
          or s.changes - b.base_changes >= greatest(1, s.chunks / 20)
          or exists (select from app.knowledge_question q where q.org_id = b.org_id and q.updated_at > b.measured_at))
   order by b.changed_at limit most
$$;
