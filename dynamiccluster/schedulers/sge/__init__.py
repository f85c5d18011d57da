"""Grid Engine: the adapter, its commands and the parsers of their output."""
