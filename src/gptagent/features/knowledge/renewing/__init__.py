"""An index made anew beside the one that serves, and what it may take from that one."""
