"""Supervision from the station's side: what is wrong, who sees to it, and when it is over. Never mixed with alarms."""
