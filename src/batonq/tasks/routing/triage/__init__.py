"""Triage: a request with hidden facets goes from agent to agent until one knows who can help."""
