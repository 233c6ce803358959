"""The operator's dashboard: server-rendered pages of one node that keep themselves up to date."""

from batonq.service.dashboard.routes import dashboard

__all__ = ["dashboard"]
