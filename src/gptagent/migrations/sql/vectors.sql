-- An index of vectors: of which model, how far it is, and what it was measured to be worth in this base. A workspace has
-- at most one that is ready, which serves, and one that is being built to take its place.
create table app.vector_index (
  org_id uuid not null default app.org(),
  id uuid not null,
  base_url text not null,
  model text not null,
  asked_size integer,           -- dimensions asked for; null leaves them to the model
  size integer,                 -- dimensions of its vectors; null until the first ones have come
  ready_at timestamptz,         -- when it was whole for the first time and began to serve
  error_code text,              -- why the last attempt at its work ended, null if it did not fail
  claim integer not null default 0,
  job_id bigint,
  lease_until timestamptz not null default '-infinity',
  tokens bigint not null default 0,
  weight real not null default 0, -- of its votes beside those of the words; 0: it is not asked
  lowest real not null default 0, -- similarity below which a passage is no answer
  sample_size integer,
  recall_words real,
  recall_both real,
  mrr_words real,
  mrr_both real,
  measured_at timestamptz,
  measured_chunks bigint not null default 0,
  changed_chunks bigint not null default 0, -- embedded since it was measured
  measure_wanted boolean not null default false,
  missed_at timestamptz,        -- when a question was last answered without it because the provider did not answer
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id)
);
create unique index vector_index_ready on app.vector_index (org_id) where ready_at is not null;
create unique index vector_index_next on app.vector_index (org_id) where ready_at is null;
call app.protect('app.vector_index', lookup => true);

-- Workspaces with passages whose index is not of this model, or failed a while ago, or was not looked at for an hour.
create function app.vectors_due(of_url text, of_model text, of_size integer, pause interval, most integer)
returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select s.org_id from app.lexical_stats s join app.organization o on o.id = s.org_id
   where s.chunks > 0 and o.delete_at is null and o.suspended_at is null
     and not exists (
       select from app.vector_index i
        where i.org_id = s.org_id and i.base_url = of_url and i.model = of_model
          and i.asked_size is not distinct from of_size
          and (i.lease_until > now()
               or i.updated_at > now() - case when i.ready_at is not null and i.error_code is null
                                              then interval '1 hour' else pause end))
   order by s.org_id limit most
$$;
