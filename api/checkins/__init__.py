"""Check-ins: who was where, by which evidence, by which clocks."""
