"""The command line, one file per family of verbs. Verbs that talk to a running service go through ``client/``."""
