-- Categories of what is not written by hand: uploads, and sites with all their pages. Unlike an article a document or a
-- site may be in none; then nothing that is kept to some categories finds it.
create table app.document_category (
  org_id uuid not null default app.org(),
  document_id uuid not null,
  category_id uuid not null,
  primary key (org_id, document_id, category_id),
  foreign key (org_id, document_id) references app.document (org_id, id) on delete cascade,
  foreign key (org_id, category_id) references app.category (org_id, id) on delete cascade
);
create index document_category_members on app.document_category (org_id, category_id, document_id);
call app.protect('app.document_category');

create table app.site_category (
  org_id uuid not null default app.org(),
  site_id uuid not null,
  category_id uuid not null,
  primary key (org_id, site_id, category_id),
  foreign key (org_id, site_id) references app.site (org_id, id) on delete cascade,
  foreign key (org_id, category_id) references app.category (org_id, id) on delete cascade
);
create index site_category_members on app.site_category (org_id, category_id, site_id);
call app.protect('app.site_category');
