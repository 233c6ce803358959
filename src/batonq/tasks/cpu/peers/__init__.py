"""The peers: other ways to find programs, on the same tasks and counted in the same way.

`breadth_first` and `mcmc` execute instructions on test vectors and are given a number of
executions; `sygus` enumerates expressions and is given seconds. None of them divides the work
among agents: each sees the whole machine.
"""
