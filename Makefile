.PHONY: setup
setup:
	@scripts/setup dev
