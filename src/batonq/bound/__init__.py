"""The guarantee: how far what was learnt may be from the optimum, in three terms."""
