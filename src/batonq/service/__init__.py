"""A node's HTTP service and its dashboard."""
