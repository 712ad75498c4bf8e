-- What a machine made of a customer's file: the words of a voice message, what is on a picture or in a document.
-- Files that are here already, and those a release before this one notes, are listened to by nobody.
alter table app.attachment
  add column hearing text not null default 'none' check (hearing in ('none', 'waiting', 'heard', 'unheard')),
  add column heard_as text check (heard_as in ('voice', 'picture', 'document')),
  add column heard_by text,
  add column words text not null default '',
  add column unheard_reason text,
  add column heard_at timestamptz;
