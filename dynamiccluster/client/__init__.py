"""The REST client: Unix socket or URL, small and quick to start."""
