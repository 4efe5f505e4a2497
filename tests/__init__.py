"""Tests. Nothing imports this package except the tests themselves and `make check`."""
