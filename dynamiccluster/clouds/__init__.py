"""Cloud adapters: where worker nodes come from."""
