"""A node's records as `bound` and `refine` read them, and older logs taken in."""
