"""Warnings and prevention tips to chosen areas (治安预警, 防范提示)."""
