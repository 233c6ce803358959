"""What is wrong with a node, or missing."""
