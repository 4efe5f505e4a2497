"""The station against a real mosquitto and a real database file."""
