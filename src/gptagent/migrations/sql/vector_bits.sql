-- As chunk_vector.sql has it for a database that gets pgvector later. Vectors are a cache, but a dear one: they stay.
do $$ begin
  if to_regclass('app.chunk_vector') is not null then
    alter table app.chunk_vector
      add column bits bit varying not null generated always as (binary_quantize(embedding)) stored;
    create index chunk_vector_bits on app.chunk_vector (org_id, index_id, chunk_id) include (bits);
  end if;
end $$;
