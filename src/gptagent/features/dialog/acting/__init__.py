"""What an agent does in the CRM after its answer: fields by rules, actions by degrees, promises as tasks."""
