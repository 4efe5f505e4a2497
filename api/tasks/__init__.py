"""Hazards and incidents that people report, the admitted list, and tasks for grid workers (隐患, 警情, 准入清单)."""
