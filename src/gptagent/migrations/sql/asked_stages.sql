-- At which stage of a deal a question was asked, as connection:pipeline:stage; empty in a chat without a deal, null where
-- it is not known. Whether it is answered by now is asked at the same stage.
alter table app.asked_question add column stage text;

-- For which stages a proposed article is to be, as above; for all if there are none.
alter table app.knowledge_draft add column stages text[] not null default '{}';

-- Which fact about the company says it: facts are held against each other too, and are for stages of their own.
alter table app.statement
  add column fact_id uuid,
  add foreign key (org_id, fact_id) references app.company_fact (org_id, id) on delete cascade;
create index statement_fact on app.statement (org_id, fact_id) where fact_id is not null;
alter table app.finding
  add column fact_id uuid,
  add column other_fact_id uuid,
  add foreign key (org_id, fact_id) references app.company_fact (org_id, id) on delete cascade,
  add foreign key (org_id, other_fact_id) references app.company_fact (org_id, id) on delete cascade;
create index finding_fact on app.finding (org_id, fact_id) where fact_id is not null;
create index finding_other_fact on app.finding (org_id, other_fact_id) where other_fact_id is not null;

-- Whether two sources contradict each other hangs on whether they are ever given together. Not where an account goes:
-- its rows are locked by then, and whoever holds the change waits for them.
create trigger base_bound after insert on app.staged_source
  referencing new table as changed for each statement execute function app.note_base_change('passages');
create trigger base_unbound after delete on app.staged_source
  referencing old table as changed for each statement execute function app.note_base_change('passages');
create trigger facts_bound after insert on app.company_fact_stage
  referencing new table as changed for each statement execute function app.note_base_change('facts');
create trigger facts_addressed after insert on app.company_fact_agent
  referencing new table as changed for each statement execute function app.note_base_change('facts');
create trigger facts_unbound after update of is_everywhere, is_global on app.company_fact
  for each row when (old.is_everywhere <> new.is_everywhere or old.is_global <> new.is_global)
  execute function app.note_facts_changed();

-- Up to which passage an index has taken from the one that serves what it may: the next job goes on behind it.
alter table app.vector_index add column taken_until bigint not null default 0;

-- As before, those first that were never worked at or not for the longest time: else the same ones that fail would be
-- first each time.
create or replace function app.vectors_due(
  of_url text, of_model text, of_size integer, pause interval, most integer, by_default text[]
) returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select s.org_id from app.lexical_stats s join app.organization o on o.id = s.org_id
    left join app.masking m on m.org_id = s.org_id
    left join lateral (
      select max(i.updated_at) as worked_at,
             bool_or(i.lease_until > now()
                     or i.updated_at > now() - case when i.ready_at is not null and i.error_code is null
                                                    then interval '1 hour' else pause end) as rests
        from app.vector_index i
       where i.org_id = s.org_id and i.base_url = of_url and i.model = of_model
         and i.asked_size is not distinct from of_size
         and not i.outdated and i.hidden = coalesce(m.kinds, by_default)) i on true
   where s.chunks > 0 and o.delete_at is null and o.suspended_at is null and i.rests is not true
   order by i.worked_at nulls first, s.org_id limit most
$$;

-- Likewise.
create or replace function app.reranking_due(of_url text, of_model text, pause interval, most integer)
returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select s.org_id from app.lexical_stats s join app.organization o on o.id = s.org_id
    left join app.reranking r on r.org_id = s.org_id and r.base_url = of_url and r.model = of_model
   where s.chunks > 0 and o.delete_at is null and o.suspended_at is null
     and (r.org_id is null
          or r.asked_at <= now() - pause
             and not (r.measured_at is not null and not r.is_wanted and r.error_code is null
                      and abs(s.chunks - r.measured_chunks) * 10 < greatest(r.measured_chunks, 100)
                      and abs(s.lexemes - r.measured_lexemes) * 10 < greatest(r.measured_lexemes, 1000)))
   order by r.asked_at nulls first, s.org_id limit most
$$;

-- Relations are corrected by hand as facts are: one that was added stays though no passage says it, one that was deleted
-- is not read again.
alter table app.graph_relation
  add column is_corrected boolean not null default false,
  add column is_removed boolean not null default false;

-- Names that a person has taken off an entity, by their digests: they are not read as names of it again.
alter table app.graph_entity add column not_names text[] not null default '{}';

create or replace function app.graph_forget() returns trigger language plpgsql as $$
declare touched uuid[];
begin
  if not exists (select from gone) then
    return null;
  end if;
  select array_agg(distinct a.entity_id) into touched
    from gone g join app.graph_alias a on a.org_id = g.org_id and a.id = g.alias_id;
  delete from app.graph_fact f using gone g
   where f.org_id = g.org_id and f.id = g.fact_id and not f.is_corrected and not f.is_removed
     and not exists (select from app.graph_support s where s.org_id = f.org_id and s.fact_id = f.id);
  delete from app.graph_relation r using gone g
   where r.org_id = g.org_id and r.id = g.relation_id and not r.is_corrected and not r.is_removed
     and not exists (select from app.graph_support s where s.org_id = r.org_id and s.relation_id = r.id);
  delete from app.graph_alias a using gone g
   where a.org_id = g.org_id and a.id = g.alias_id and not a.is_corrected
     and not exists (select from app.graph_support s where s.org_id = a.org_id and s.alias_id = a.id);
  delete from app.graph_entity e using (select distinct org_id from gone) g
   where e.org_id = g.org_id and e.id = any(touched) and not e.is_corrected
     and not exists (select from app.graph_alias a where a.org_id = e.org_id and a.entity_id = e.id)
     and not exists (select from app.graph_fact f
                      where f.org_id = e.org_id and f.entity_id = e.id and f.is_corrected);
  perform app.graph_settle(g.org_id, touched) from (select distinct org_id from gone) g;
  return null;
end $$;
