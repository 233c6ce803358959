"""E4B: agents shared by many jobs, behind interfaces that show fewer and fewer test vectors."""
