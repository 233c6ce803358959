"""Errors a user can act on: each message names the thing, the value and the remedy."""

from __future__ import annotations


class BatonqError(Exception):
    """Anything that went wrong for a reason the user can mend."""


class ModelError(BatonqError):
    """A model, an interface, an environment or a learner's setting that cannot be right."""


class DataError(BatonqError):
    """A file or folder that is missing, damaged, or belongs to something else."""
