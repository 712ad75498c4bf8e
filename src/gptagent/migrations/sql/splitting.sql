-- A reply in parts: a further part is a turn of its own, for the same messages. 0: the first, or the only one.
alter table app.turn add column part smallint not null default 0;
