-- An agent may prepare words to a customer that a person sends. No row breaks the wider rule: it allows all that was
-- allowed.
alter table app.action_proposal drop constraint action_proposal_action_check;
alter table app.action_proposal add constraint action_proposal_action_check
  check (action in ('move_deal', 'create_task', 'add_note', 'change_responsible', 'add_tags', 'create_contact',
                    'fill_contact', 'send_message', 'send_email')) not valid;
-- Prepared words never leave by themselves, whatever an agent is allowed.
alter table app.action_proposal add constraint action_proposal_sent_by_person
  check (degree <> 'alone' or action not in ('send_message', 'send_email')) not valid;
