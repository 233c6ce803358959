"""Four agents in four processes learn to hand off: what `batonq demo` runs."""
