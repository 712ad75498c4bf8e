-- How many passages hold each word of a base: a score needs it of every word of a question and must not count the
-- postings each time. Kept by the triggers of app.posting, as app.gram is; a row is here while a passage holds the word.
create table app.lexeme (
  org_id uuid not null default app.org(),
  lexeme text collate "C" not null,
  chunks integer not null,
  primary key (org_id, lexeme)
) with (fillfactor = 70);
call app.protect('app.lexeme');

-- The settings and the wait for others are those of before: see spelling.sql.
create or replace function app.learn_words() returns trigger language plpgsql
-- lint: session-state - a clause of the function, which holds while it runs
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_material = off as $$
begin
  perform from app.lexical_stats where org_id in (select org_id from changed) order by org_id for update;
  insert into app.lexeme as l (org_id, lexeme, chunks)
  select org_id, lexeme, count(*) from changed group by org_id, lexeme
      on conflict (org_id, lexeme) do update set chunks = l.chunks + excluded.chunks;
  with word as materialized (
    select distinct org_id, lexeme, '  ' || left(lexeme, 1) as first from changed where app.has_grams(lexeme)
  ), unknown as materialized (
    select * from word w where
      (select true from app.gram k where k.org_id = w.org_id and k.gram = w.first and k.lexeme = w.lexeme) is null
  )
  insert into app.gram (org_id, gram, lexeme)
  select org_id, g, lexeme from unknown, app.grams(lexeme) g on conflict do nothing;
  return null;
end $$;

create or replace function app.forget_words() returns trigger language plpgsql
-- lint: session-state - a clause of the function, which holds while it runs
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_material = off as $$
begin
  perform from app.lexical_stats where org_id in (select org_id from changed) order by org_id for update;
  with lost as materialized (
    select org_id, lexeme, count(*) as chunks from changed group by org_id, lexeme
  )
  update app.lexeme l set chunks = l.chunks - lost.chunks
    from lost where l.org_id = lost.org_id and l.lexeme = lost.lexeme;
  with word as materialized (
    select distinct org_id, lexeme from changed
  ), gone as materialized (
    delete from app.lexeme l using word w
     where l.org_id = w.org_id and l.lexeme = w.lexeme and l.chunks <= 0 returning l.org_id, l.lexeme
  ), part as materialized (
    select org_id, lexeme, g from gone, app.grams(lexeme) g where app.has_grams(lexeme)
  )
  delete from app.gram k using part where k.org_id = part.org_id and k.gram = part.g and k.lexeme = part.lexeme;
  return null;
end $$;

-- The cascade of a foreign key deletes the postings of one passage at a time, and so often would the words be counted.
-- What goes with its source goes at once, before; in the order of locks that deleting passages has (graph_use.sql).
-- The workspace is named, for in a cascade row-level security does not and the indexes begin with it.
create function app.forget_postings(source uuid) returns void language plpgsql as $$
declare
  own bigint[] := array(
    select id from app.chunk where org_id = app.org() and (article_id = source or document_id = source));
begin
  if cardinality(own) > 0 then
    perform pg_advisory_xact_lock(hashtextextended('graph ' || app.org()::text, 0));
    delete from app.posting where org_id = app.org() and chunk_id = any(own);
  end if;
end $$;

create function app.forget_source() returns trigger language plpgsql as $$
begin
  perform app.forget_postings(old.id);
  return old;
end $$;
create trigger forget_postings before delete on app.document for each row execute function app.forget_source();
create trigger forget_postings before delete on app.article for each row execute function app.forget_source();
