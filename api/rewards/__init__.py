"""Rewards (奖励申报): one for an event, from application to payment, out of a fund that is the sum of its rows."""
