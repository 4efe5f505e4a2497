"""Residents' complaints: over the public board, by account, or typed in by the desk for a caller."""
