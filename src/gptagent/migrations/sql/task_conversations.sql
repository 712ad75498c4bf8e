-- A task quotes a customer: it is known whose conversation it comes from, also on a deal that customers share.
-- Tasks that are there keep null, as do those the release before still writes.
alter table app.crm_task add column conversation_id uuid;
