"""OpenStack: the adapter, and pure maps between its words and ours."""
