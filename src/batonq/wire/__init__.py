"""The one scalar and what goes with it: pure, without I/O; what others would re-implement."""
