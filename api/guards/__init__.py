"""Guards and whoever goes with them: employment, cards, duty lists, leave, and what excuses a missed visit (值班表)."""
