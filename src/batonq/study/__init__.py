"""Studies: cells run in parallel, resumed, summarised into rows, figures and one report."""
