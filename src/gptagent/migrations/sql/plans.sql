-- What a workspace may keep is the plan's to say: features/organizations/model.py has the figures.
alter table app.organization
  add column plan text not null default 'vip' check (plan in ('free', 'premium', 'vip'));
