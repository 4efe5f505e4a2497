"""What the station owes others: written with its cause in one transaction, sent afterwards, never forgotten."""
