"""Rounds of guards: checkpoints, routes, plans, and what became of each expected visit."""
