-- What models may cost. Limits of the workspace and of each of its contacts; those of an agent stand in its settings.
create table app.budget (
  org_id uuid not null primary key default app.org() references app.organization on delete cascade,
  day_cents integer check (day_cents >= 0),
  month_cents integer check (month_cents >= 0),
  day_tokens integer check (day_tokens >= 0),
  month_tokens integer check (month_tokens >= 0),
  contact_day_cents integer check (contact_day_cents >= 0),
  contact_month_cents integer check (contact_month_cents >= 0),
  contact_day_tokens integer check (contact_day_tokens >= 0),
  contact_month_tokens integer check (contact_month_tokens >= 0),
  when_exhausted text not null check (when_exhausted in ('quote', 'hand_off')),
  version integer not null,
  updated_at timestamptz not null
);
call app.protect('app.budget');

-- What was used in a day or month that began then, by UTC: by all, by an agent, about a contact.
create table app.budget_use (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  level text not null check (level in ('workspace', 'agent', 'contact')),
  subject uuid not null,
  period text not null check (period in ('day', 'month')),
  began_at timestamptz not null,
  micro_usd bigint not null,
  tokens bigint not null,
  told_percent integer not null default 0, -- 80 or 100 once so much was used
  written_percent integer not null default 0, -- of which the owners have a letter
  primary key (org_id, level, subject, period, began_at)
);
call app.protect('app.budget_use');

-- What calls that go on may come to. One whose process was killed counts until it expires.
create table app.budget_hold (
  org_id uuid not null default app.org() references app.organization on delete cascade,
  id uuid not null,
  agent_id uuid,
  contact uuid,
  micro_usd bigint not null,
  tokens bigint not null,
  expires_at timestamptz not null,
  primary key (org_id, id)
);
call app.protect('app.budget_hold');
