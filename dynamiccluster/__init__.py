"""Dynamic Cluster: an elastic autoscaler beside an existing batch cluster."""

__version__ = "2.0.0.dev0"
