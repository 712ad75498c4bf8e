-- The order of the knowledge base. One row per workspace is the default category: articles without another one are in
-- it, it cannot be deleted, and locking it locks the tree, so that two moves at once make no circle.
create table app.category (
  id uuid not null,
  org_id uuid not null default app.org(),
  parent_id uuid,
  title text not null check (length(title) between 1 and 255),
  description text not null default '' check (length(description) <= 1000),
  position integer not null,
  is_default boolean not null default false,
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, parent_id) references app.category (org_id, id),
  check (id <> parent_id)
);
create unique index category_title on app.category
  (org_id, coalesce(parent_id, '00000000-0000-0000-0000-000000000000'::uuid), lower(title));
create unique index category_default on app.category (org_id) where is_default;
create index category_parent on app.category (org_id, parent_id);

alter table app.article
  add description text not null default '' check (length(description) <= 1000),
  add tags text[] not null default '{}';

-- The service sees to it that an article is in at least one.
create table app.article_category (
  org_id uuid not null default app.org(),
  article_id uuid not null,
  category_id uuid not null,
  primary key (org_id, article_id, category_id),
  foreign key (org_id, article_id) references app.article (org_id, id) on delete cascade,
  foreign key (org_id, category_id) references app.category (org_id, id) on delete cascade
);
create index article_category_members on app.article_category (org_id, category_id, article_id);

-- When the article is found, the related ones go to the model with it.
create table app.article_related (
  org_id uuid not null default app.org(),
  article_id uuid not null,
  related_id uuid not null,
  position smallint not null,
  primary key (org_id, article_id, related_id),
  foreign key (org_id, article_id) references app.article (org_id, id) on delete cascade,
  foreign key (org_id, related_id) references app.article (org_id, id) on delete cascade,
  check (article_id <> related_id)
);
create index article_related_back on app.article_related (org_id, related_id);

-- What an article said at each of its versions. Who wrote it is an id, as in the audit's record.
create table app.article_version (
  org_id uuid not null default app.org(),
  article_id uuid not null,
  version integer not null,
  title text not null,
  description text not null,
  content text not null,
  tags text[] not null,
  is_active boolean not null,
  actor_kind text,
  actor_id uuid,
  created_at timestamptz not null,
  primary key (org_id, article_id, version),
  foreign key (org_id, article_id) references app.article (org_id, id) on delete cascade
);

-- What a model is told about the company with every question: one text.
create table app.company_facts (
  org_id uuid not null primary key default app.org(),
  content text not null check (length(content) <= 4000),
  version integer not null,
  updated_at timestamptz not null
);

-- What is there already: forced row-level security hides it from the owner too, so it is lifted for a moment.
alter table app.article no force row level security;
alter table app.organization no force row level security;
insert into app.category (id, org_id, title, position, is_default, created_at, updated_at)
select gen_random_uuid(), o.id, case o.locale when 'ru' then 'Общее' else 'General' end, 1, true, now(), now()
  from app.organization o where exists (select from app.article a where a.org_id = o.id);
insert into app.article_category (org_id, article_id, category_id)
select a.org_id, a.id, c.id from app.article a join app.category c on c.org_id = a.org_id and c.is_default;
insert into app.article_version (org_id, article_id, version, title, description, content, tags, is_active, created_at)
select org_id, id, version, title, description, content, tags, is_active, updated_at from app.article;
alter table app.article force row level security;
alter table app.organization force row level security;

call app.protect('app.category');
call app.protect('app.article_category');
call app.protect('app.article_related');
call app.protect('app.article_version');
call app.protect('app.company_facts');
