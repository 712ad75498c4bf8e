-- What agents say at a stage of the deal (family `script`), and to what customers object (family `objection`). Of an
-- objection `title` holds the customer's words, one wording in a line.
create table app.script (
  org_id uuid not null default app.org(),
  id uuid not null,
  family text not null check (family in ('script', 'objection')),
  kind text not null,
  title text not null check (length(title) between 1 and 1000),
  content text not null check (length(content) between 1 and 4000),
  is_everywhere boolean not null,  -- else at its stages, which may all be gone
  is_active boolean not null,
  priority smallint not null check (priority between 1 and 100),
  used integer not null default 0,
  used_at timestamptz,
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  check (family = 'script' and kind in ('greeting', 'qualification', 'presentation', 'objection_handling', 'closing')
         or family = 'objection' and kind in ('price', 'timing', 'need', 'competitor', 'trust', 'other'))
);
create index script_family on app.script (org_id, family, priority, id);
call app.protect('app.script');

create table app.script_stage (
  org_id uuid not null default app.org(),
  script_id uuid not null,
  connection_id uuid not null,
  pipeline_id bigint not null,
  stage_id bigint not null,
  primary key (org_id, script_id, connection_id, pipeline_id, stage_id),
  foreign key (org_id, script_id) references app.script (org_id, id) on delete cascade,
  foreign key (org_id, connection_id) references app.crm_connection (org_id, id) on delete cascade
);
create index script_stage_connection on app.script_stage (org_id, connection_id);
call app.protect('app.script_stage');
