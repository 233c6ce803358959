"""Errors a user can act on: each message names the thing, the value and the remedy."""

from __future__ import annotations


class BatonqError(Exception):
    """Anything that went wrong for a reason the user can mend."""


class ModelError(BatonqError):
    """A model, an interface, an environment or a learner's setting that cannot be right."""


class DataError(BatonqError):
    """A file or folder that is missing, damaged, or belongs to something else."""


class WireError(BatonqError):
    """What came over the wire, or was asked of a node, cannot be accepted."""


class UnknownError(WireError):
    """It names an agent, a peer or a handoff that this node does not know."""


class ConflictError(WireError):
    """It contradicts what is already recorded of the same handoff; the record stays."""


class RefusedError(WireError):
    """The node will not do it: a budget, a quarantine, units that differ, a missing right."""


class StoreError(BatonqError):
    """A store that is missing, damaged, newer than this release, in use, full or read-only."""


class CallError(BatonqError):
    """A call of a model that could not be made, or whose answer cannot be used."""


class RequestError(CallError):
    """A model will not take this one request; it may take the next."""


class SpentError(BatonqError):
    """The next call could cost more than is left of a budget; everything kept so far stays."""
