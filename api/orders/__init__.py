"""Orders to the nearest guards to go to an alarm (就近派单): accept, on the way, arrival by check-in."""
