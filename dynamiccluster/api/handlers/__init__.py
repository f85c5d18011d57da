"""Request handlers, one file per family; each holds the original's paths and ours beside them."""
