"""Composition: the shouwang command and everything that puts the programs together."""
