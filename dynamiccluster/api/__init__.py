"""The REST API (Tornado)."""
