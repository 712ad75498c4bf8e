-- What customers asked and the base does not answer, or hardly, gathered by subject. A gap is as old as its first question
-- and goes with its last one: nothing of a customer's words outlives the conversation they were said in.
create table app.gap (
  org_id uuid not null default app.org(),
  id uuid not null,
  status text not null default 'open' check (status in ('open', 'dismissed', 'answered')),
  article_id uuid,             -- written for it, or found to answer it
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, article_id) references app.article (org_id, id) on delete set null (article_id)
);
create index gap_article on app.gap (org_id, article_id) where article_id is not null;
call app.protect('app.gap');

-- One row per turn that answered, or could not. Only of those that make a gap the words are kept, without names and
-- numbers of people. `customer` tells customers apart and says nothing else.
create table app.asked_question (
  org_id uuid not null default app.org(),
  turn_id uuid not null,
  conversation_id uuid not null,
  customer uuid not null,
  kind text not null check (kind in ('found', 'weak', 'not_found')),
  support real not null,
  gap_id uuid,
  text text not null default '' check (length(text) <= 500),
  words text[] not null default '{}',
  asked_at timestamptz not null,
  primary key (org_id, turn_id),
  foreign key (org_id, conversation_id) references app.conversation on delete cascade,
  foreign key (org_id, gap_id) references app.gap on delete cascade,
  check ((gap_id is null) = (kind = 'found'))
);
create index asked_question_time on app.asked_question (org_id, asked_at);
create index asked_question_gap on app.asked_question (org_id, gap_id, asked_at) where gap_id is not null;
create index asked_question_conversation on app.asked_question (org_id, conversation_id);
call app.protect('app.asked_question');

-- The words of each gap's first question: by these a further one finds its gap.
create table app.gap_word (
  org_id uuid not null default app.org(),
  lexeme text collate "C" not null,
  gap_id uuid not null,
  turn_id uuid not null,
  primary key (org_id, lexeme, gap_id),
  foreign key (org_id, gap_id) references app.gap on delete cascade,
  foreign key (org_id, turn_id) references app.asked_question on delete cascade
);
create index gap_word_gap on app.gap_word (org_id, gap_id);
create index gap_word_turn on app.gap_word (org_id, turn_id);
call app.protect('app.gap_word');

-- A gap whose first question is erased is known by the next one, and one without questions is none. The gaps are locked
-- by a statement of its own: one that waited for a turn that has just added a question must see it.
create function app.tidy_gaps() returns trigger language plpgsql as $$
begin
  perform from app.gap where (org_id, id) in (select org_id, gap_id from removed where gap_id is not null)
    order by id for update;
  delete from app.gap g using (select distinct org_id, gap_id from removed where gap_id is not null) r
   where g.org_id = r.org_id and g.id = r.gap_id
     and not exists (select from app.asked_question q where q.org_id = g.org_id and q.gap_id = g.id);
  insert into app.gap_word (org_id, lexeme, gap_id, turn_id)
  select first.org_id, w, first.gap_id, first.turn_id
    from (select distinct on (q.org_id, q.gap_id) q.org_id, q.gap_id, q.turn_id, q.words
            from app.asked_question q join (select distinct org_id, gap_id from removed) r
              on r.org_id = q.org_id and r.gap_id = q.gap_id
           where not exists (select from app.gap_word k
                               join app.asked_question o on o.org_id = k.org_id and o.turn_id = k.turn_id
                              where k.org_id = q.org_id and k.gap_id = q.gap_id)
           order by q.org_id, q.gap_id, q.asked_at, q.turn_id) first,
         unnest(first.words) w
  on conflict (org_id, lexeme, gap_id) do update set turn_id = excluded.turn_id;
  return null;
end $$;
create trigger asked_question_removed after delete on app.asked_question
  referencing old table as removed for each statement execute function app.tidy_gaps();
