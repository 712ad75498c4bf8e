"""The start page of a workspace: what is to do, what the agents did, how the CRM is. Real numbers only."""
