"""Our side of the CRM: connections, the mirror of pipelines, leads and contacts, and the port to the CRM."""
