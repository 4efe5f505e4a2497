"""Whether the station can do its work."""
