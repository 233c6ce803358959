"""IC-Q among agents that write a program together: jobs, what agents remember, and the loop."""
