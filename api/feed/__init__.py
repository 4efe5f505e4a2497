"""What a screen hears at once: server-sent events, each to those who may know of it."""
