"""What agents, people and programs have done in the CRM, and how it is taken back."""
