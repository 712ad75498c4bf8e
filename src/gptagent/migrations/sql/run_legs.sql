-- By which ways a run has asked, and why one came to nothing. What is there already was asked by words alone.
alter table app.knowledge_run
  add column legs text[] not null default '{words}',
  add column error_code text;
-- Questions that the reranking model has refused are left out of its measurement, and counted. While a measurement is
-- queued or under way no other one is.
alter table app.reranking
  add column refused integer not null default 0,
  add column queued_at timestamptz;

-- As before, and again after some hours where a run failed for a model that is likely to answer by then: else a base
-- would stay without a measurement until a twentieth of it has changed.
create or replace function app.bases_to_measure(rest interval, most integer) returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select s.org_id from app.lexical_stats s
         join app.organization o on o.id = s.org_id and o.delete_at is null and o.suspended_at is null
         left join lateral (select r.changes, r.state, r.error_code, r.created_at from app.knowledge_run r
                             where r.org_id = s.org_id order by r.id desc limit 1) r on true
   where s.chunks > 0 and s.changed_at < now() - rest
     and (r.changes is null or s.changes - r.changes >= greatest(1, s.chunks / 20)
          or (r.state = 'failed' and r.created_at < now() - interval '6 hours'
              and r.error_code in ('budget_exhausted', 'embedding_unavailable', 'reranker_unavailable')))
     and r.state is distinct from 'queued'
   order by s.changed_at limit most
$$;
