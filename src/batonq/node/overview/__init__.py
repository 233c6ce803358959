"""What a node's events add up to, for its pages."""
