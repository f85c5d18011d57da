"""Checkers: is the new machine configured? The seed's `config-checker`."""
