-- The currency of an account's deals (ISO 4217). A release that does not know it leaves what is there.
alter table app.crm_connection add column currency text check (currency ~ '^[A-Z]{3}$');
