-- The record of privileged actions. One chain for each workspace, and one, of the id zero, for the platform itself:
-- each row's hash covers the row and the hash before it. Rows hold ids and field names; personal values lie sealed
-- under a person's own key, so that destroying the key erases them and the chain still holds.
create table app.person_key (
  person_id uuid primary key,
  sealed bytea not null,
  created_at timestamptz not null default now()
);
create table app.audit_head (
  chain uuid primary key,
  seq bigint not null default 0,
  hash bytea not null default ''::bytea,
  closed_at timestamptz
);
create table app.audit_event (
  org_id uuid not null default app.org(),
  seq bigint not null,
  at timestamptz not null,
  actor_kind text not null,
  actor_id uuid,
  acting_for uuid,          -- whom an administrator of the platform impersonates
  action text not null,
  target_kind text not null,
  target_id text not null,
  changes jsonb not null,   -- field -> [before, after], or null where the values are personal
  address bytea,            -- where the actor was, sealed under the actor's key
  personal bytea,           -- personal values, sealed under the key of `personal_of`
  personal_of uuid,
  request_id text not null,
  prev bytea not null,
  hash bytea not null,
  primary key (org_id, seq)
);
create index audit_event_action on app.audit_event (org_id, action, seq desc);
-- The application may only read it: `migrate` takes the other rights away, audit_append() writes.
call app.protect('app.audit_event', lookup => true);

-- `gptagent audit verify` has the same expression of its own: a changed function would not deceive it.
create function app.audit_hash(e app.audit_event) returns bytea language sql stable set search_path = app, pg_temp as $$
  select sha256(e.prev || convert_to(jsonb_build_array(
    e.org_id, e.seq, extract(epoch from e.at), e.actor_kind, e.actor_id, e.acting_for, e.action, e.target_kind,
    e.target_id, e.changes, encode(e.address, 'hex'), encode(e.personal, 'hex'), e.personal_of, e.request_id)::text,
    'UTF8'))
$$;

-- Appends to the chain of the transaction's workspace, or of the platform if it has none or `on_platform`.
create function app.audit_append(
  actor_kind text, actor_id uuid, acting_for uuid, action text, target_kind text, target_id text, changes jsonb,
  address bytea, personal bytea, personal_of uuid, request_id text, on_platform boolean
) returns bigint
language plpgsql security definer set search_path = app, pg_temp as $$
declare
  chain_id uuid := coalesce(case when on_platform then null else app.org() end, '00000000-0000-0000-0000-000000000000');
  head app.audit_head;
  e app.audit_event;
begin
  insert into app.audit_head (chain) values (chain_id) on conflict do nothing;
  select * into head from app.audit_head where chain = chain_id for update;
  if head.closed_at is not null then
    raise exception 'the audit chain of a deleted workspace is closed';
  end if;
  e.org_id := chain_id;
  e.seq := head.seq + 1;
  e.at := clock_timestamp();
  e.actor_kind := actor_kind;
  e.actor_id := actor_id;
  e.acting_for := acting_for;
  e.action := action;
  e.target_kind := target_kind;
  e.target_id := target_id;
  e.changes := changes;
  e.address := address;
  e.personal := personal;
  e.personal_of := personal_of;
  e.request_id := request_id;
  e.prev := head.hash;
  e.hash := app.audit_hash(e);
  insert into app.audit_event select e.*;
  update app.audit_head set seq = e.seq, hash = e.hash where chain = chain_id;
  return e.seq;
end $$;

create function app.person_key_of(who uuid) returns bytea
language sql stable security definer set search_path = app, pg_temp as $$
  select sealed from app.person_key where person_id = who
$$;
create function app.keep_person_key(who uuid, key bytea) returns bytea
language plpgsql security definer set search_path = app, pg_temp as $$
begin
  insert into app.person_key (person_id, sealed) values (who, key) on conflict do nothing;
  return (select sealed from app.person_key where person_id = who);
end $$;
create function app.destroy_person_key(who uuid) returns void
language sql security definer set search_path = app, pg_temp as $$
  delete from app.person_key where person_id = who
$$;

-- Keys of SECRET_KEYS that may still have sealed something: no start without them until a rotation is through.
alter table app.installation add older_fingerprints text[] not null default '{}';
