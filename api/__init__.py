"""The station program: take in what gateways send, confirm it, show it and act on it."""
