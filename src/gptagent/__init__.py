"""GPT Agent Platform: AI sales and support agents that answer customers inside the CRM."""

__version__ = "0.1.0"
