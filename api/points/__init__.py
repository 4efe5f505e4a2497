"""Points (积分): rules as data, a ledger that is only added to, appeals, months, rankings, rewards."""
