"""Writes cases.json: embeddings with labels, and the least loss that a softmax regression can have on them, as scikit-learn finds it."""
import json
import os

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(14)


def case(photos, features, classes, penalty, weighted):
    centres = 3 + rng.random((classes, features))
    y = rng.integers(0, classes, photos)
    x = np.round(centres[y] + (rng.random((photos, features)) - 0.5) * 2.5, 3)
    weights = np.round(photos / (classes * np.bincount(y, minlength=classes)), 6) if weighted else np.ones(classes)
    # scikit-learn: |w|^2 / 2 + C * sum of losses; ours is the mean of losses + penalty / 2 * |w|^2.
    own = LogisticRegression(C=1 / (penalty * photos), tol=1e-10, max_iter=100000,
                             class_weight={index: weight for index, weight in enumerate(weights)}).fit(x, y)
    logits = x @ own.coef_.T + own.intercept_
    losses = weights[y] * (logsumexp(logits, axis=1) - logits[np.arange(photos), y])
    return {
        'classes': classes, 'penalty': penalty, 'class_weights': weights.tolist() if weighted else None,
        'embeddings': x.tolist(), 'labels': y.tolist(), 'loss': float(losses.mean() + penalty / 2 * np.sum(own.coef_ ** 2)),
    }


cases = [case(90, 8, 3, 1e-2, False), case(90, 8, 3, 1e-4, False), case(60, 20, 4, 1e-3, True)]
with open(os.path.join(os.path.dirname(__file__), 'cases.json'), 'w') as file:
    json.dump(cases, file)
    file.write('\n')
