"""Devices: memory, precision and the options that trade one for the other."""
