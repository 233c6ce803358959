"""The command `batonq`: wiring only."""
