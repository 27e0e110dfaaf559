"""All examples of small discrete spaces, and transition matrices by sums over them, in NumPy."""

import itertools

import numpy as np


def all_bits(*shape):
    """All examples of zeros and ones, `(2^d, *shape)`, counted from the last site."""
    bits = np.array([*itertools.product([0.0, 1.0], repeat=int(np.prod(shape)))], np.float32)
    return bits.reshape(-1, *shape)


def all_one_hot(*shape):
    """All one-hot examples `(q^sites, *shape)`, `shape = (*sites, q)`."""
    sites, num = int(np.prod(shape[:-1])), shape[-1]
    index = np.array([*itertools.product(range(num), repeat=sites)])
    return np.eye(num, dtype=np.float32)[index].reshape(-1, *shape)


def probabilities(energies):
    energies = np.asarray(energies, np.float64)
    p = np.exp(energies.min() - energies)
    return p / p.sum()


def visit(states, p, site, num_values=None):
    """The matrix of a draw of one site given the others; of zeros and ones without `num_values`."""
    rows = states.reshape(len(states), -1, num_values or 1)
    others = np.delete(rows, site, axis=1).reshape(len(states), -1)
    same = np.all(others[:, None] == others[None], axis=-1)
    joint = same * p[None]
    return joint / joint.sum(1, keepdims=True)


def distances(states, num_values=None):
    """How many sites differ between any two examples."""
    rows = states.reshape(len(states), -1, num_values or 1)
    return np.any(rows[:, None] != rows[None], axis=-1).sum(-1)


def slopes(states, gradients):
    """`-∇E(x)·(y - x) / 2` for any two examples."""
    x, g = (np.asarray(a, np.float64).reshape(len(states), -1) for a in (states, gradients))
    return -(g @ x.T - np.sum(g * x, -1, keepdims=True)) / 2


def normalised(log_q):
    q = np.exp(log_q - log_q.max(1, keepdims=True))
    return q / q.sum(1, keepdims=True)


def langevin(states, gradients, step_size):
    """The proposal of Zhang, Liu and Liu (2022), equation 3, summed over all examples."""
    x = states.reshape(len(states), -1).astype(np.float64)
    squares = np.sum((x[:, None] - x[None]) ** 2, -1)
    return normalised(slopes(states, gradients) - squares / (2 * step_size))


def gibbs_with_gradients(states, gradients, num_values=None):
    """The proposal of Grathwohl et al. (2021), algorithm 1, with the example itself as one more."""
    near = distances(states, num_values) <= 1
    return normalised(np.where(near, slopes(states, gradients), -np.inf))


def metropolis(q, p):
    """The matrix of a chain that accepts proposals `q` so that `p` is stationary."""
    forward, back = p[:, None] * q, (p[:, None] * q).T
    ratio = np.divide(back, forward, out=np.zeros_like(back), where=forward > 0)
    moves = q * np.minimum(1, ratio)
    np.fill_diagonal(moves, 0)
    return moves + np.diag(1 - moves.sum(1))


def assert_transitions(start, end, states, matrix, num_errors=5.0):
    """Check the counts of the ends of chains, equally many from each of the states in turn."""
    places = 2.0 ** np.arange(states[0].size)
    numbers = states.reshape(len(states), -1) @ places
    order = np.argsort(numbers)
    codes = np.asarray(end, np.float64).reshape(len(end), -1) @ places
    found = order[np.searchsorted(numbers[order], codes)]
    np.testing.assert_array_equal(numbers[found], codes)
    num = len(end) // len(states)
    np.testing.assert_array_equal(start, np.repeat(states, num, axis=0))
    counts = np.stack([np.bincount(row, minlength=len(states)) for row in found.reshape(-1, num)])
    error = np.sqrt(matrix * (1 - matrix) / num)
    off = np.abs(counts / num - matrix)
    assert np.all(off <= num_errors * error + 1 / num), np.max(off / (error + 1e-12))
