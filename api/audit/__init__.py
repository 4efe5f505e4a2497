"""Who did what, when and why: a hash chain that cannot be changed unnoticed, and words that can be erased from it."""
