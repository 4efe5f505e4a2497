"""The program on the Pi: hear a press, alert the neighbours, keep it, deliver it."""
