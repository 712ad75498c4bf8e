-- For which stages of a deal an article or a document is. Only what is bound has a row: without one it is for every
-- stage and for chats without a deal. Bound, and without stages left, it is for none: their account is disconnected.
create table app.staged_source (
  org_id uuid not null default app.org(),
  source_id uuid not null,
  article_id uuid,
  document_id uuid,
  primary key (org_id, source_id),
  foreign key (org_id, article_id) references app.article (org_id, id) on delete cascade,
  foreign key (org_id, document_id) references app.document (org_id, id) on delete cascade,
  check (num_nonnulls(article_id, document_id) = 1 and source_id = coalesce(article_id, document_id))
);
create index staged_source_article on app.staged_source (org_id, article_id) where article_id is not null;
create index staged_source_document on app.staged_source (org_id, document_id) where document_id is not null;
call app.protect('app.staged_source');

create table app.source_stage (
  org_id uuid not null default app.org(),
  source_id uuid not null,
  connection_id uuid not null,
  pipeline_id bigint not null,
  stage_id bigint not null,
  primary key (org_id, source_id, connection_id, pipeline_id, stage_id),
  foreign key (org_id, source_id) references app.staged_source (org_id, source_id) on delete cascade,
  foreign key (org_id, connection_id) references app.crm_connection (org_id, id) on delete cascade
);
create index source_stage_connection on app.source_stage (org_id, connection_id);
call app.protect('app.source_stage');
