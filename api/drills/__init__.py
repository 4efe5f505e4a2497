"""Drills, and how ready a group is (演练, 联防就绪)."""
