-- Calls to the CRM: who may make one when, and to whom none is worth trying.
-- `failures` in a row, until when the account is left alone for them, and whether one call looks how it is.
alter table app.crm_call_slot
  add column failures integer not null default 0,
  add column open_until timestamptz,
  add column probing boolean not null default false;

-- Take the next slot of both keys if it is no further off than `horizon`: whoever may not reach far ahead
-- leaves the slots ahead to those who may. `wait` is how far it is off, `account_wait` as far as the account
-- itself is the reason. An account that failed `trip` times in a row is left alone for `open_for` seconds;
-- then one call may look for `probe` how it is.
create function app.claim_call_slot(
  account_key text, address_key text, spacing interval, horizon interval, trip integer, probe interval,
  out granted boolean, out wait double precision, out account_wait double precision,
  out failures integer, out open_for double precision)
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  at timestamptz;
  moment timestamptz;
  account app.crm_call_slot;
begin
  insert into app.crm_call_slot (key, next_at)
    select k, clock_timestamp() from unnest(array[account_key, address_key]) k group by k order by k
    on conflict (key) do nothing;
  perform from app.crm_call_slot s where s.key in (account_key, address_key) order by s.key for update;
  moment := clock_timestamp();
  select * into account from app.crm_call_slot s where s.key = account_key;
  select greatest(max(s.next_at), moment) into at
    from app.crm_call_slot s where s.key in (account_key, address_key);
  granted := false;
  failures := account.failures;
  wait := extract(epoch from at - moment);
  account_wait := greatest(extract(epoch from account.next_at - moment), 0);
  open_for := 0;
  if account.failures >= trip and account.open_until > moment then
    open_for := extract(epoch from account.open_until - moment);
  elsif at <= moment + horizon then
    granted := true;
    wait := greatest(wait, 0);
    update app.crm_call_slot s
       set next_at = at + spacing,
           open_until = case when s.key = account_key and s.failures >= trip then at + probe
                             else s.open_until end,
           probing = case when s.key = account_key then s.failures >= trip else s.probing end
     where s.key in (account_key, address_key);
  end if;
end $$;

-- Count a failure, or forget them all after a success. Failures of calls that were under way when the account
-- was given up count no further: only the call that looks how it is doubles the pause.
create function app.note_call(account_key text, failed boolean, trip integer, first interval, longest interval)
returns integer language sql security definer set search_path = app, pg_temp as $$
  update app.crm_call_slot s
     set failures = case when not failed then 0
                         when s.failures < trip or s.probing then least(s.failures + 1, 1000)
                         else s.failures end,
         open_until = case when not failed then null
                           when s.failures + 1 < trip then null
                           when s.failures < trip then clock_timestamp() + first
                           when s.probing
                             then clock_timestamp() + least(first * 2 ^ least(s.failures + 1 - trip, 16), longest)
                           else s.open_until end,
         probing = false
   where s.key = account_key
  returning s.failures;
$$;

create function app.open_circuits(trip integer) returns bigint
language sql stable security definer set search_path = app, pg_temp as $$
  select count(*) from app.crm_call_slot s where s.failures >= trip;
$$;
