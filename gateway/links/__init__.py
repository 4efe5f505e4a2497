"""Where bytes and edges come in: serial ports, GPIO pins, Zigbee2MQTT. Each is the one door to its library."""
