"""What somebody shows besides the password: codes of an app, those for a lost phone, and passkeys."""
