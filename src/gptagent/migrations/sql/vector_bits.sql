-- As chunk_vector.sql has it for a database that gets pgvector later. Vectors that are there get their signs from the next
-- work at their index: writing them here would lock the table for as long as that takes.
do $$ begin
  if to_regclass('app.chunk_vector') is not null then
    alter table app.chunk_vector add column bits bit varying;
    create index chunk_vector_bits on app.chunk_vector (org_id, index_id, chunk_id) include (bits);
    create index chunk_vector_unsigned on app.chunk_vector (org_id, index_id) where bits is null;
  end if;
end $$;
