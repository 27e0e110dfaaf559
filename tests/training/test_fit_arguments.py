"""What `fit` refuses before anything is compiled, and what it warns of."""

import re
import warnings

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import Levels, Wells

from ebmx.energies import MLP
from ebmx.samplers import Langevin
from ebmx.training import CD, PCD, Trainer, fit

TRAINER = Trainer(optax.sgd(0.1), CD(Langevin(0.1)))


def start(getkey):
    return TRAINER.init(MLP((2,), (4,), key=getkey()), key=getkey())


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((8, 3), np.float32), r"batches\[0\]\.shape=\(8, 3\).*examples of shape \(2,\)"),
        (np.zeros((2,), np.float32), r"batches\[0\]\.shape=\(2,\)"),
        (np.zeros((0, 2), np.float32), r"batches\[0\]\.shape=\(0, 2\).*at least one example"),
        (np.zeros((8, 2), np.uint8), r"batches\[0\]\.dtype=.*uint8.*ebmx\.data\.scale"),
        (np.full((8, 2), np.nan, np.float32), r"batches\[0\]=16 non-finite values of 16"),
        ([[0.0, 0.0]], r"batches\[0\]=list: give a JAX or NumPy array"),
    ],
)
def test_a_first_batch_that_does_not_fit_is_refused(batch, message, getkey):
    with pytest.raises(ValueError, match=message):
        fit(TRAINER, start(getkey), [batch], num_steps=1, key=getkey())


@pytest.mark.parametrize(
    ("energy", "labels", "message"),
    [
        (Wells(np.zeros((3, 1)), np.ones(3)), np.arange(4), r"\[1\]=.*labels are 0 to 2"),
        (Wells(np.zeros((3, 1)), np.ones(3)), np.arange(4) - 1, r"\[1\]=.*labels are 0 to 2"),
        (Levels([0.1], [1.0]), np.full((4, 1), np.nan, np.float32), r"\[1\]=4 non-finite"),
        (Wells(np.zeros((3, 1)), np.ones(3)), np.arange(3), r"\[1\]\.shape=\(3,\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(energy, labels, message, getkey):
    state = TRAINER.init(energy, key=getkey())
    batch = np.zeros((4, 1), np.float32), labels
    with pytest.raises(ValueError, match=rf"^batches\[0\]{message}"):
        fit(TRAINER, state, [batch], num_steps=1, key=getkey())


def test_a_step_says_what_a_key_is(getkey):
    with pytest.raises(ValueError, match=r"^key=0: give a key, such as jax\.random\.key\(0\)"):
        TRAINER.step(start(getkey), np.zeros((8, 2), np.float32), key=0)


@pytest.mark.parametrize(
    ("mean", "scale", "words"),
    [
        (170.0, 10.0, r"coordinate \d: data 1[67]\d ± .*, chains .* ± 0\.\d+\): scale the data"),
        (0.0, 100.0, "scale the data"),
        (0.5, 0.3, None),
        (-1.0, 0.0, None),
    ],
)
def test_data_far_from_where_chains_start_are_warned_of(mean, scale, words, getkey):
    trainer = Trainer(optax.sgd(0.1), PCD(Langevin(0.1), num_steps=1, capacity=64))
    state = trainer.init(MLP((2,), (4,), key=getkey()), key=getkey())
    x = np.random.default_rng(0).normal(mean, scale, size=(64, 2)).astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        state, _ = fit(trainer, state, [x], num_steps=1, key=getkey())
        fit(trainer, state, [x], num_steps=1, key=getkey())  # not said again
    assert [bool(re.search(str(words), str(w.message))) for w in caught] == [True] * bool(words)


@pytest.mark.parametrize("part", ["energy", "ema"])
def test_parameters_that_are_not_finite_are_refused(part, getkey):
    where = lambda s: getattr(s, part).layers[0].weight  # noqa: E731
    state = start(getkey)
    state = eqx.tree_at(where, state, where(state).at[0, 0].set(jnp.nan))
    name = rf"state\.{part}\.layers\[0\]\.weight"
    with pytest.raises(ValueError, match=f"{name}=not finite"):
        fit(TRAINER, state, [np.zeros((8, 2), np.float32)], num_steps=1, key=getkey())


@pytest.mark.parametrize("name", ["num_steps", "log_every"])
def test_counts_are_positive_integers(name, getkey):
    state = start(getkey)
    for value in (0, -1, 2.0):
        options = {"num_steps": 1, "log_every": 1} | {name: value}
        with pytest.raises(ValueError, match=f"{name}={value}: give a Python integer"):
            fit(TRAINER, state, [np.zeros((8, 2), np.float32)], key=getkey(), **options)
