-- The words of a base by their 3-grams: where a misspelt word of a question finds those it may be. Kept by triggers of
-- app.posting: a word is here exactly while a passage holds it. Words with digits or marks are nobody's misspelling.
create function app.grams(word text) returns setof text language sql immutable as $$
  select distinct substr('  ' || word || ' ', n, 3) collate "C" from generate_series(1, length(word) + 1) n
$$;

create function app.has_grams(word text) returns boolean language sql immutable as $$
  select length(word) between 4 and 32 and word !~ '[[:digit:][:punct:][:space:]]'
$$;

create table app.gram (
  org_id uuid not null default app.org(),
  gram text collate "C" not null,
  lexeme text collate "C" not null,
  primary key (org_id, gram, lexeme)
);

-- Both functions first wait for others that change passages of the tenant, else one could drop a word that another is
-- just adding. What they look up is worked out beforehand: under row-level security a condition that calls a function
-- is no condition of an index. The planner does not know how few words there are and would read the whole table.
create function app.learn_words() returns trigger language plpgsql
-- lint: session-state - a clause of the function, which holds while it runs
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_material = off as $$
begin
  perform from app.lexical_stats where org_id in (select org_id from changed) order by org_id for update;
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
create trigger posting_added after insert on app.posting
  referencing new table as changed for each statement execute function app.learn_words();

create function app.forget_words() returns trigger language plpgsql
-- lint: session-state - a clause of the function, which holds while it runs
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_material = off as $$
begin
  perform from app.lexical_stats where org_id in (select org_id from changed) order by org_id for update;
  with word as materialized (
    select distinct org_id, lexeme from changed where app.has_grams(lexeme)
  ), gone as materialized (
    select w.org_id, w.lexeme, g from word w, app.grams(w.lexeme) g
     where (select true from app.posting p where p.org_id = w.org_id and p.lexeme = w.lexeme limit 1) is null
  )
  delete from app.gram k using gone where k.org_id = gone.org_id and k.gram = gone.g and k.lexeme = gone.lexeme;
  return null;
end $$;
create trigger posting_removed after delete on app.posting
  referencing old table as changed for each statement execute function app.forget_words();

call app.protect('app.gram');
