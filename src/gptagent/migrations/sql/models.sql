-- Models that do not answer are left alone for a while, as accounts of a CRM are: a row of the same table, whose key
-- begins with `llm:`, and the same count. Nothing is written while a model answers.

-- How often the model has failed in a row, and for how many seconds it is left alone; 0: the caller may ask. Once
-- it has failed `trip` times, one caller at a time has `probe` to look how it is.
create function app.ask_circuit(circuit text, trip integer, probe interval,
  out failures integer, out open_for double precision)
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  select s.failures, greatest(extract(epoch from s.open_until - clock_timestamp()), 0) into failures, open_for
    from app.crm_call_slot s where s.key = circuit;
  failures := coalesce(failures, 0);
  open_for := coalesce(open_for, 0);
  if failures < trip then
    open_for := 0;
  elsif open_for = 0 then
    update app.crm_call_slot s set open_until = clock_timestamp() + probe, probing = true
     where s.key = circuit and s.failures >= trip and coalesce(s.open_until, '-infinity') <= clock_timestamp();
    if not found then
      open_for := extract(epoch from probe);
    end if;
  end if;
end $$;

create function app.note_circuit(circuit text, failed boolean, trip integer, first interval, longest interval)
returns integer language sql security definer set search_path = app, pg_temp as $$
  insert into app.crm_call_slot (key, next_at) select circuit, clock_timestamp() where failed
    on conflict (key) do nothing;
  select app.note_call(circuit, failed, trip, first, longest);
$$;

create or replace function app.open_circuits(trip integer) returns bigint
language sql stable security definer set search_path = app, pg_temp as $$
  select count(*) from app.crm_call_slot s where s.failures >= trip and s.key not like 'llm:%';
$$;

-- Models that are left alone. One that nobody has asked for since is not told of: who knows how it is.
create function app.resting_models(trip integer, asked_within interval) returns setof text
language sql stable security definer set search_path = app, pg_temp as $$
  select substr(s.key, 5) from app.crm_call_slot s
   where s.failures >= trip and s.key like 'llm:%' and s.open_until > clock_timestamp() - asked_within
   order by 1;
$$;

-- What each call of a model was for and what it cost: millionths of a US dollar, null if no price is known.
alter table app.llm_usage
  add column purpose text not null default 'other',
  add column calls integer not null default 1,
  add column tokens_cached integer not null default 0,
  add column cost_micro_usd bigint;
create index llm_usage_turn on app.llm_usage (org_id, turn_id) where turn_id is not null;
