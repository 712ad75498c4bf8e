"""What the CRM reports of our own messages: it settles the turns that sent them."""
