"""Live language models: the same game, with agents that call real models."""
