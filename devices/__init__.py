"""What the wires say: codecs and link state machines that do no I/O and read no clock."""
