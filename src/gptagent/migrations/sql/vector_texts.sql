-- An index is one of the texts as the provider was told them: made anew beside the one that serves when they are others.
alter table app.vector_index
  add column hidden text[],                           -- kinds of personal data they were told without; null: not known
  add column outdated boolean not null default false; -- everything is embedded anew; it serves until then

-- What is hidden is looked up by the schedule.
create policy lookup on app.masking for select to current_user using (true);

-- As before, and where other texts were embedded than would be now. `by_default` is hidden where nothing was chosen.
create function app.vectors_due(
  of_url text, of_model text, of_size integer, pause interval, most integer, by_default text[]
) returns table (org_id uuid)
language sql stable security definer set search_path = app, pg_temp as $$
  select s.org_id from app.lexical_stats s join app.organization o on o.id = s.org_id
    left join app.masking m on m.org_id = s.org_id
   where s.chunks > 0 and o.delete_at is null and o.suspended_at is null
     and not exists (
       select from app.vector_index i
        where i.org_id = s.org_id and i.base_url = of_url and i.model = of_model
          and i.asked_size is not distinct from of_size
          and not i.outdated and i.hidden = coalesce(m.kinds, by_default)
          and (i.lease_until > now()
               or i.updated_at > now() - case when i.ready_at is not null and i.error_code is null
                                              then interval '1 hour' else pause end))
   order by s.org_id limit most
$$;
