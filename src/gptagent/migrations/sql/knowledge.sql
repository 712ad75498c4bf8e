create table app.article (
  id uuid not null,
  org_id uuid not null default app.org(),
  title text not null check (length(title) between 1 and 255),
  content text not null check (length(content) >= 10),
  is_active boolean not null default true,
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id)
);
call app.protect('app.article');

create table app.document (
  id uuid not null,
  org_id uuid not null default app.org(),
  title text not null,
  file_name text not null check (length(file_name) between 1 and 255),
  mime text not null,
  size_bytes bigint not null,
  sha256 text not null,
  blob_key text not null,
  status text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
  progress smallint not null default 0 check (progress between 0 and 100),
  error_code text check ((error_code is not null) = (status = 'failed')),
  attempts integer not null default 0,
  chunk_count integer not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  unique (org_id, sha256)
);
call app.protect('app.document');

-- Only what may be retrieved is here: a piece of an active article or of a completed document.
create table app.chunk (
  id bigint not null generated always as identity,
  org_id uuid not null default app.org(),
  article_id uuid,
  document_id uuid,
  ordinal integer not null,
  heading text not null,
  page integer,
  content text not null,
  length integer not null, -- lexemes, those of the heading included
  primary key (org_id, id),
  foreign key (org_id, article_id) references app.article (org_id, id) on delete cascade,
  foreign key (org_id, document_id) references app.document (org_id, id) on delete cascade,
  check (num_nonnulls(article_id, document_id) = 1)
);
create unique index chunk_article on app.chunk (org_id, article_id, ordinal) where article_id is not null;
create unique index chunk_document on app.chunk (org_id, document_id, ordinal) where document_id is not null;
call app.protect('app.chunk');

-- The length is repeated here, so that a score is computed from the index alone. "C" makes a prefix a range
-- of the key in any database; a GIN index would not be used under forced row-level security.
create table app.posting (
  org_id uuid not null default app.org(),
  lexeme text collate "C" not null,
  chunk_id bigint not null,
  tf integer not null,
  length integer not null,
  primary key (org_id, lexeme, chunk_id) include (tf, length),
  foreign key (org_id, chunk_id) references app.chunk (org_id, id) on delete cascade
);
create index posting_chunk on app.posting (org_id, chunk_id);
call app.protect('app.posting');

-- Sums over app.chunk, kept by triggers: a score needs them and must not count the tenant's chunks each time.
create table app.lexical_stats (
  org_id uuid not null primary key,
  chunks bigint not null,
  lexemes bigint not null
);
call app.protect('app.lexical_stats');

create function app.count_chunks() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into app.lexical_stats as s (org_id, chunks, lexemes)
    select org_id, count(*), sum(length) from changed group by org_id
    on conflict (org_id) do update set chunks = s.chunks + excluded.chunks, lexemes = s.lexemes + excluded.lexemes;
  else
    update app.lexical_stats s set chunks = s.chunks - c.chunks, lexemes = s.lexemes - c.lexemes
      from (select org_id, count(*) as chunks, sum(length) as lexemes from changed group by org_id) c
     where s.org_id = c.org_id;
  end if;
  return null;
end $$;
create trigger chunk_added after insert on app.chunk
  referencing new table as changed for each statement execute function app.count_chunks();
create trigger chunk_removed after delete on app.chunk
  referencing old table as changed for each statement execute function app.count_chunks();
