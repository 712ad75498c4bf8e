-- Speech is paid by the second at some providers; and what a file cost that was heard before the turn about it.
alter table app.llm_usage
  add column seconds integer not null default 0,
  add column subject uuid; -- of what the call was, such as a customer's file; null: of nothing a turn looks for
