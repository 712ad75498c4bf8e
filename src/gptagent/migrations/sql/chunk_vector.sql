-- Vectors of passages, in a narrow table so that the exact scan of one tenant reads nothing else. Made where the database
-- has pgvector; no column of another table needs it. Halves in place: a toasted vector would be fetched one by one.
create table app.chunk_vector (
  org_id uuid not null default app.org(),
  chunk_id bigint not null,
  index_id uuid not null,
  embedding halfvec not null,
  -- Signs of the dimensions: what a large base is looked through by, before the nearest are compared exactly.
  -- The release before writes none: such an index is scanned exactly until the next work at it.
  bits bit varying,
  primary key (org_id, chunk_id, index_id),
  foreign key (org_id, chunk_id) references app.chunk (org_id, id) on delete cascade,
  foreign key (org_id, index_id) references app.vector_index (org_id, id) on delete cascade
);
create index chunk_vector_bits on app.chunk_vector (org_id, index_id, chunk_id) include (bits);
create index chunk_vector_unsigned on app.chunk_vector (org_id, index_id) where bits is null;
alter table app.chunk_vector alter embedding set storage plain;
call app.protect('app.chunk_vector');
