-- Which text of a document a citation quotes: it is counted whenever other bytes are read.
alter table app.document
  add column version integer not null default 1,
  add column indexed_sha256 text;

-- The owner's own rows are under row-level security too; what was read before counts as the first version.
alter table app.document no force row level security;
update app.document set indexed_sha256 = sha256 where chunk_count > 0;
alter table app.document force row level security;
