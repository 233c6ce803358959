"""Agents of others: asked over HTTP, and held against what they promised."""
