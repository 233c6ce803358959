"""The algorithm: decentralised Q-learning with one scalar per handoff."""
