"""The shared inbox: which conversations are shown, and in which state each is for whoever looks."""
