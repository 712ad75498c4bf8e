-- What a reranking model was measured to be worth in a workspace's base: a row once it was looked at.
create table app.reranking (
  org_id uuid not null primary key default app.org(),
  base_url text not null,
  model text not null,
  asked_at timestamptz not null, -- when a measurement was last begun, or failed
  is_wanted boolean not null default false,
  helps boolean not null default false, -- whether questions are put to it
  sample_size integer,
  recall_before real,
  recall_after real,
  mrr_before real,
  mrr_after real,
  measured_at timestamptz,
  measured_chunks bigint not null default 0,
  measured_lexemes bigint not null default 0,
  error_code text, -- why the last measurement ended, null if it did not fail
  missed_at timestamptz -- when a question was last answered without it because the provider did not answer in time
);
call app.protect('app.reranking', lookup => true);

-- Workspaces with passages in which this model was not measured yet, or whose base has changed by a tenth since, or for
-- which somebody asked; not those where it was begun a moment ago.
create function app.reranking_due(of_url text, of_model text, pause interval, most integer)
returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select s.org_id from app.lexical_stats s join app.organization o on o.id = s.org_id
   where s.chunks > 0 and o.delete_at is null and o.suspended_at is null
     and not exists (
       select from app.reranking r
        where r.org_id = s.org_id and r.base_url = of_url and r.model = of_model
          and (r.asked_at > now() - pause
               or (r.measured_at is not null and not r.is_wanted and r.error_code is null
                   and abs(s.chunks - r.measured_chunks) * 10 < greatest(r.measured_chunks, 100)
                   and abs(s.lexemes - r.measured_lexemes) * 10 < greatest(r.measured_lexemes, 1000))))
   order by s.org_id limit most
$$;
