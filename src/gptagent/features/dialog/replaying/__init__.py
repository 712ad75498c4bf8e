"""Real conversations of the last weeks, answered anew without any effect, beside what was said."""
