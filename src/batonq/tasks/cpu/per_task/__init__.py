"""E4A, the scenario "suite": every task learnt alone, with counterexamples as further vectors."""
