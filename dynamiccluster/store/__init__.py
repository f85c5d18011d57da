"""The store: nodes, launches, memory and intended actions in one transaction; history and audit beside them."""
