"""What the CRM tells us: stored, acted on once, tried again, shown, and looked for where it never came."""
