"""Plug-ins: classes of a site that watch the read model."""
