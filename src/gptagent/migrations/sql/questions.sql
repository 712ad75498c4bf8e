-- What a workspace's own people expect to be answered, and from where: what its base is measured and calibrated by.
create table app.knowledge_question (
  id uuid not null,
  org_id uuid not null default app.org(),
  text text not null check (length(text) between 1 and 500),
  actor_kind text,
  actor_id uuid,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id)
);
create unique index knowledge_question_text on app.knowledge_question (org_id, lower(text));
call app.protect('app.knowledge_question');

-- A question whose last source is deleted stays: that it is without an answer now is worth knowing.
create table app.knowledge_question_source (
  org_id uuid not null default app.org(),
  question_id uuid not null,
  article_id uuid,
  document_id uuid,
  foreign key (org_id, question_id) references app.knowledge_question (org_id, id) on delete cascade,
  foreign key (org_id, article_id) references app.article (org_id, id) on delete cascade,
  foreign key (org_id, document_id) references app.document (org_id, id) on delete cascade,
  unique nulls not distinct (org_id, question_id, article_id, document_id),
  check (num_nonnulls(article_id, document_id) = 1)
);
create index knowledge_question_source_article on app.knowledge_question_source (org_id, article_id);
create index knowledge_question_source_document on app.knowledge_question_source (org_id, document_id);
call app.protect('app.knowledge_question_source');
