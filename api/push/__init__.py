"""Web push to phone pages: an extra that nobody relies on, with the least in it that can be."""
