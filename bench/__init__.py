"""What the gateway costs and how fast it is, against floors of the same machine: `make bench`, docs/performance.md."""
