"""Agents in the world: decide, receive, settle, one handoff at a time, losing nothing."""
