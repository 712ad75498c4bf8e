-- What happens when a person writes in a chat that an agent answers. Workspaces so far had no choice: the agent stopped.
alter table app.organization
  add column stop_on_human boolean not null default false,
  add column resume_after_hours integer not null default 0 check (resume_after_hours between 0 and 720), -- 0: by hand
  add column resume_command text not null default '/agent' check (length(resume_command) between 2 and 50);
update app.organization set stop_on_human = true;

alter table app.conversation add column resume_at timestamptz; -- when the agent takes the chat back by itself
