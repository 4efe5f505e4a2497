"""The contract between gateways, station and audiences: what the messages say, and to whom.

Pure: nothing here does I/O, reads a clock, draws a random number, logs or starts a thread. Time, ids and
randomness are arguments. What the wires say is `devices`; the programs are `gateway`, `api` and `deploy`.
"""
