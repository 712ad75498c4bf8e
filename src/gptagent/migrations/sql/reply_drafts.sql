-- A reply that waits for a person's word before it is sent. Its turn has ended; approved, it is opened again and
-- leaves like any other, through the fence. What makes a reply stale takes it back: `outdated`, and the customer's
-- messages are to be answered anew. No row breaks the wider rule: it allows all that was allowed.
alter table app.turn drop constraint turn_outcome_check;
alter table app.turn add constraint turn_outcome_check
  check (outcome in ('reply', 'not_found', 'handed_off', 'refused', 'draft', 'rejected')) not valid;
alter table app.turn
  add column draft_state text check (draft_state in ('waiting', 'approved', 'rejected', 'outdated')),
  add column draft_at timestamptz,                  -- since when it waits
  add column draft_decided_at timestamptz,
  add column draft_by text,                         -- who approved or rejected it, by name
  add column draft_note text,                       -- why it was rejected, in the person's words
  add column draft_is_edited boolean not null default false;
create unique index turn_draft on app.turn (org_id, conversation_id) where draft_state = 'waiting';
