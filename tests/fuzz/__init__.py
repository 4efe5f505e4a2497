"""Fuzzing of everything that a stranger can write to us."""
