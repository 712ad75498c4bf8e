-- All settings of an agent in one document. The columns before it stay for the release that still reads them,
-- and go with the next one; nothing is written to them any more.
alter table app.agent
  add column settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  alter column instructions set default '',
  alter column not_found_text set default '';

alter table app.agent no force row level security;
update app.agent
   set settings = jsonb_build_object(
         'instructions', instructions, 'model', model, 'creativity', creativity,
         'response_delay_seconds', response_delay_seconds, 'not_found_text', not_found_text,
         'not_found_task', not_found_task, 'remembers_customers', remembers_customers);
alter table app.agent force row level security;
