"""Tracks of guards, reverse look-up (轨迹反查), the nearest guards, coverage."""
