"""Accounts, and how somebody proves whose he is: sessions, second factor, desks, tokens, joining codes."""
