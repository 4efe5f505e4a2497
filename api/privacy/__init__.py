"""Personal data has a purpose and an end: the field register, what is due to go, export and erasure."""
