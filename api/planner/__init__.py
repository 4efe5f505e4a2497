"""The staggered planner (错峰): rounds where police and other teams are thin, bounded and not to be guessed."""
