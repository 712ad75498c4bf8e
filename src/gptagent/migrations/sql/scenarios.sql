-- What a customer says and what an agent must and must not do then. Without an agent: for all of the workspace's.
create table app.scenario (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  id uuid not null,
  agent_id uuid,
  name text not null check (length(name) between 1 and 120),
  play jsonb not null,
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, agent_id) references app.agent (org_id, id) on delete cascade
);
create unique index scenario_name on app.scenario (org_id, agent_id, lower(name)) nulls not distinct;
call app.protect('app.scenario');

-- Whether an agent is published only after its scenarios passed.
create table app.publish_condition (
  org_id uuid not null default app.org(),
  agent_id uuid not null,
  is_on boolean not null,
  repeats smallint not null check (repeats between 1 and 10),
  primary key (org_id, agent_id),
  foreign key (org_id, agent_id) references app.agent (org_id, id) on delete cascade
);
call app.protect('app.publish_condition');

-- Many answers, one after the other: of saved scenarios, or of real turns. What is run is kept as it was when it was
-- asked for: settings, scenarios, turns. `claim` is raised by every worker that takes it: a frozen one records nothing.
create table app.scenario_run (
  org_id uuid not null default app.org(),
  id uuid not null,
  kind text not null check (kind in ('scenarios', 'replay')),
  agent_id uuid not null,
  target text not null check (target in ('draft', 'published')),
  settings jsonb not null,
  fingerprint text not null,           -- of the settings
  suite jsonb not null default '[]',   -- scenarios
  suite_fingerprint text not null default '',
  is_whole boolean not null,           -- all scenarios of the agent were run
  turns uuid[] not null default '{}',
  since timestamptz,                   -- of the period whose turns are answered anew
  until timestamptz,
  repeats smallint not null check (repeats between 1 and 10),
  state text not null default 'queued'
    check (state in ('queued', 'running', 'done', 'stopped', 'cancelled', 'failed')),
  total integer not null,
  done integer not null default 0,
  passed integer not null default 0,
  budget_micro_usd bigint not null,
  cost_micro_usd bigint not null default 0,
  is_priced boolean not null default true,  -- false as soon as a call had no price
  tokens_in bigint not null default 0,
  tokens_out bigint not null default 0,
  claim integer not null default 0,
  asked_at timestamptz not null,
  began_at timestamptz,
  ended_at timestamptz,
  updated_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, agent_id) references app.agent (org_id, id) on delete cascade
);
create unique index scenario_run_one on app.scenario_run (org_id) where state in ('queued', 'running');
create index scenario_run_agent on app.scenario_run (org_id, agent_id, asked_at desc);
call app.protect('app.scenario_run');

create table app.scenario_attempt (
  org_id uuid not null default app.org(),
  run_id uuid not null,
  position integer not null,    -- of the scenario in the run's suite
  number smallint not null,     -- 1 to the run's repeats
  is_passed boolean not null,
  failures jsonb not null,
  transcript jsonb not null,
  cost_micro_usd bigint,
  tokens_in integer not null,
  tokens_out integer not null,
  millis integer not null,
  primary key (org_id, run_id, position, number),
  foreign key (org_id, run_id) references app.scenario_run (org_id, id) on delete cascade
);
call app.protect('app.scenario_attempt');

-- How a real turn would be answered now. What was asked and said stands where it stood: in its messages and its turn,
-- and goes with them.
create table app.replayed_turn (
  org_id uuid not null default app.org(),
  run_id uuid not null,
  turn_id uuid not null,
  conversation_id uuid not null,
  verdict text not null check (verdict in ('same', 'differs', 'now_not_found', 'now_answered', 'failed')),
  answer jsonb not null,
  cost_micro_usd bigint,
  tokens_in integer not null,
  tokens_out integer not null,
  millis integer not null,
  created_at timestamptz not null,
  primary key (org_id, run_id, turn_id),
  foreign key (org_id, run_id) references app.scenario_run (org_id, id) on delete cascade,
  foreign key (org_id, turn_id) references app.turn (org_id, id) on delete cascade,
  foreign key (org_id, conversation_id) references app.conversation on delete cascade
);
create index replayed_turn_turn on app.replayed_turn (org_id, turn_id);
create index replayed_turn_conversation on app.replayed_turn (org_id, conversation_id);
call app.protect('app.replayed_turn');
