"""A cloud of the site's own: machines that its scripts list, start and end."""
