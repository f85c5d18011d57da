"""A small client of the REST API. Standard library only, so that command line verbs start fast."""
