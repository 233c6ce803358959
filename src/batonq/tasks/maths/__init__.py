"""Several language models answer school mathematics together, replayed from recorded answers."""
