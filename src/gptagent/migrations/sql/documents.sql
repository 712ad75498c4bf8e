-- What an archive's entries became, what of a file could not be read, and when an attempt is expected to end.
alter table app.document
  add column expected_at timestamptz,
  add column entry_count integer not null default 0,
  add column unread jsonb not null default '[]';
