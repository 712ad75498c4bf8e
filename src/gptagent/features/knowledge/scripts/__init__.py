"""What agents say at a stage of the deal, and what they answer when a customer objects."""
