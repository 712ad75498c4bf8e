"""One turn played without any effect: for test chats, replays and scenarios."""
