"""What keeps a turn within its bounds: money, signs of an attack, what must not be said."""
