"""Pure rules of the farm: no I/O, no clock, no randomness, no logging."""
