"""One term of the error moved at a time, on models whose solution was chosen beforehand."""
