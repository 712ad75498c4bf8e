-- By which ways a run has asked, and why one came to nothing. What is there already was asked by words alone.
alter table app.knowledge_run
  add column legs text[] not null default '{words}',
  add column error_code text;
-- Questions that the reranking model has refused are left out of its measurement, and counted. While a measurement is
-- queued or under way no other one is.
alter table app.reranking
  add column refused integer not null default 0,
  add column queued_at timestamptz;
