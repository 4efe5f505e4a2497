"""Somebody on patrol calls for help for himself (求助): an alarm whose place is where he was last."""
