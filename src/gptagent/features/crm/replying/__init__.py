"""How a reply reaches the customer's chat: three ways, and which of them an account can go."""
