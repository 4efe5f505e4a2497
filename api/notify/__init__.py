"""Tells people and machines beyond the screen: each delivery a row, each channel by itself."""
