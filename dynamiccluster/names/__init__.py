"""Names: how a new node becomes resolvable before the scheduler sees it."""
