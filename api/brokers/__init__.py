"""Accounts at the broker: who has one by the register, which were given out, and the file for whoever runs it."""
