"""The public board of a grid (公示牌): who works there, whom to call, where it is. Nothing else is public."""
