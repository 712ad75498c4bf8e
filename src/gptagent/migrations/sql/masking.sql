-- What of a person no provider of models is told. Without a row: all kinds there are.
create table app.masking (
  org_id uuid not null primary key default app.org() references app.organization on delete cascade,
  kinds text[] not null check (kinds <@ array['email', 'iban', 'card', 'snils', 'passport', 'inn', 'phone']),
  version integer not null,
  updated_at timestamptz not null
);
call app.protect('app.masking');
