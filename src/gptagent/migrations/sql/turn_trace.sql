-- What a turn did, frozen beside it in the transaction that records its answer: prompt, passages, gates, calls, times.
-- It goes with its turn, and with the answers' period.
create table app.turn_trace (
  org_id uuid not null default app.org(),
  turn_id uuid not null,
  conversation_id uuid not null,
  trace jsonb not null,
  created_at timestamptz not null default now(),
  primary key (org_id, turn_id),
  foreign key (org_id, turn_id) references app.turn on delete cascade
);
create index turn_trace_conversation on app.turn_trace (org_id, conversation_id);
create index turn_trace_age on app.turn_trace (org_id, created_at);
call app.protect('app.turn_trace');
