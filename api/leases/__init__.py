"""Which process does which work of a station, when several share a PostgreSQL."""
