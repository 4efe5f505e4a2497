"""Nobody acknowledges, nobody goes, too few answer: it climbs by itself, through people who are on duty now."""
