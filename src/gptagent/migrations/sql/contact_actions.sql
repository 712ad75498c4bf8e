-- An agent may make a deal's contact, and fill in its phone and e-mail. No row breaks the wider rule: it allows all
-- that was allowed.
alter table app.action_proposal drop constraint action_proposal_action_check;
alter table app.action_proposal add constraint action_proposal_action_check
  check (action in ('move_deal', 'create_task', 'add_note', 'change_responsible', 'add_tags', 'create_contact',
                    'fill_contact')) not valid;
