"""Who may do what, and where: one table, and the rules that read it."""
