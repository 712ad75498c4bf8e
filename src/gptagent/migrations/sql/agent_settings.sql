-- All settings of an agent in one document. The columns before it stay for the release that still reads and writes
-- them, and go with the next one, together with the trigger below.
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

-- While two releases run, each sees what the other writes: of the document and the columns, the one that a statement
-- changes is taken over into the other. A release without documents never names it, so its agents come with none.
create function app.join_settings() returns trigger language plpgsql as $$
declare
  shared constant text[] := array['instructions', 'model', 'creativity', 'response_delay_seconds', 'not_found_text',
                                  'not_found_task', 'remembers_customers'];
begin
  if new.settings is distinct from coalesce(old.settings, '{}') then
    new := jsonb_populate_record(new, (select coalesce(jsonb_object_agg(key, value), '{}')
                                         from jsonb_each(new.settings) where key = any (shared)));
  else
    new.settings := new.settings || (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(to_jsonb(new))
                                      where key = any (shared) and value is distinct from to_jsonb(old) -> key);
  end if;
  return new;
end $$;
create trigger join_settings
  before insert or update of settings, instructions, model, creativity, response_delay_seconds, not_found_text,
                             not_found_task, remembers_customers on app.agent
  for each row execute function app.join_settings();
