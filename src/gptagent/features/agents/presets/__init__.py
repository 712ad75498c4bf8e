"""Ready-made settings to begin an agent with, each in the languages of the platform."""
