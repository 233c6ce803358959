"""Routing: triage among specialists, and routers that pass packets on (our third experiment)."""
