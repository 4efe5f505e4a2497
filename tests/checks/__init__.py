"""What `make check` asks of the documents and of the tree: `python -m tests.checks`."""
