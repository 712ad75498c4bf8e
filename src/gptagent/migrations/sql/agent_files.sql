-- Whose a document is: the workspace's, or one agent's own, which nobody but that agent finds. It goes with its agent,
-- and its bytes are discarded.
alter table app.document
  add column agent_id uuid,
  add foreign key (org_id, agent_id) references app.agent (org_id, id) on delete cascade;
create index document_agent on app.document (org_id, agent_id) where agent_id is not null;
create trigger agent_file_discarded after delete on app.document for each row
  when (old.agent_id is not null) execute function app.discard_attachment();
