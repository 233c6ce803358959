"""The experiments, each a folder of its own: environment, agents, interfaces, experiment."""
