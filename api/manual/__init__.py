"""The interface, written out as a page of our own: no script, no font and no picture from anywhere."""
