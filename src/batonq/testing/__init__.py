"""Conformance kits for what users plug in: environments and Q-functions."""

from batonq.testing.environment import check_environment
from batonq.testing.qfunction import check_qfunction

__all__ = ["check_environment", "check_qfunction"]
