"""Logistic regression with a ridge penalty, fitted by L-BFGS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit


@dataclass(frozen=True)
class Logistic:
    """A fitted regression on standardised features.

    Attributes:
        centre: mean of each feature in training.
        scale: spread of each feature in training; 1 where it did not vary.
        weights: weight of each standardised feature, and last the constant.
    """

    centre: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]
    weights: Float[np.ndarray, " weight"]

    def chance(
        self, features: Float[np.ndarray, "example feature"]
    ) -> Float[np.ndarray, " example"]:
        """Return the fitted chance of each example, between 0 and 1."""
        standard = (features - self.centre) / self.scale
        return np.asarray(expit(standard @ self.weights[:-1] + self.weights[-1]))


def fit_logistic(
    features: Float[np.ndarray, "example feature"],
    labels: Bool[np.ndarray, " example"],
    penalty: float = 1.0,
) -> Logistic:
    """Fit the chance that a label is true.

    Args:
        features: any scale; no examples at all give a chance of 1/2 everywhere.
        labels: what to predict.
        penalty: half of it times the squared weights is added to the log-loss; the constant has a
            penalty of 0.01 x that, so that labels all alike have a finite fit too.
    """
    if len(labels) == 0:
        count = features.shape[1]
        return Logistic(np.zeros(count), np.ones(count), np.zeros(count + 1))
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    inputs = np.column_stack([(features - centre) / scale, np.ones(len(labels))])
    sign = np.where(labels, 1.0, -1.0)
    ridge = np.full(inputs.shape[1], penalty)
    ridge[-1] *= 0.01

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (inputs @ weights)
        slope = inputs.T @ (-sign * expit(-margin)) + ridge * weights
        return float(np.logaddexp(0.0, -margin).sum() + 0.5 * ridge @ weights**2), slope

    found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B")
    return Logistic(centre, scale, np.asarray(found.x))
