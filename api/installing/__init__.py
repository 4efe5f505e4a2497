"""Installing units: windows, the installation list, handing over."""
