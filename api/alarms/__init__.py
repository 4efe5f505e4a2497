"""Alarms: what a press becomes, who has taken it, and who is told."""
