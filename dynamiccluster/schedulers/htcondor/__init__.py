"""HTCondor: its adapter and the parsers of what its programs print."""
