"""Who lives where, what hangs on which wall, and which areas they lie in."""
