"""Long replies that go out as several messages."""
