"""Pure decisions: no I/O, no clock, no logging. `tick.decide` is the door."""
