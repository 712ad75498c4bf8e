-- E-mail: whether an account's letters become conversations, where each goes on, and the way of an answer.
alter table app.crm_reply_setup add column reads_letters boolean not null default false;
alter table app.conversation
  add column mail_subject text,
  add column mail_address text,
  add column mail_box text;
alter table app.turn drop constraint turn_send_route_check;
alter table app.turn add constraint turn_send_route_check
  check (send_route in ('talk', 'salesbot', 'widget', 'mail')) not valid;
alter table app.outgoing drop constraint outgoing_send_route_check;
alter table app.outgoing add constraint outgoing_send_route_check
  check (send_route in ('talk', 'salesbot', 'widget', 'mail')) not valid;
