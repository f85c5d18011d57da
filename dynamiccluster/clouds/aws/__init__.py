"""Amazon EC2: the adapter, and pure maps between its words and ours."""
