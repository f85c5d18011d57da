"""Scheduler adapters: one file of commands and one pure parser for each batch system."""
