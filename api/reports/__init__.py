"""What the alarms of a time came to: figures, scorecards, printed sheets, and their recomputation from the log."""
