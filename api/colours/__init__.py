"""Intensity of areas in four colours (区域四色), and the good-person card of a guard (好人卡)."""
