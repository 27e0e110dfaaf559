"""Batches with conditions and weights: what losses and negatives make of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import Wells
from helpers import points

from ebmx import _mesh
from ebmx.energies import JEM, Gaussian
from ebmx.samplers import Langevin
from ebmx.training import (
    CD,
    AbstractNegatives,
    DataOnly,
    Examples,
    Trainer,
    contrastive_loss,
    score_matching_loss,
)
from ebmx.training._batch import as_examples, condition, energies, mean

X = points(4, (2,))
Y = jnp.array([2, 0, 1, 0])


@pytest.mark.parametrize("batch", [(X, Y), [X, Y], (np.asarray(X), np.asarray(Y)), Examples(X, Y)])
def test_pairs_and_examples_are_the_same(batch):
    got = as_examples(batch)
    np.testing.assert_array_equal(got.x, X)
    np.testing.assert_array_equal(got.y, Y)
    assert got.log_weights is None


def test_an_array_is_a_batch_without_labels():
    got = as_examples(np.asarray(X))
    np.testing.assert_array_equal(got.x, X)
    assert got.y is None
    # not a pair: two examples of a batch
    assert as_examples(X[:2]).x.shape == (2, 2)


BAD = {
    "fewer labels": ((X, Y[:3]), r"batch\[1\]\.shape=\(3,\): give an array with one label .* 4 ex"),
    "more labels": ((X, jnp.zeros(5, int)), r"batch\[1\]\.shape=\(5,\)"),
    "one label": ((X, jnp.array(1)), r"batch\[1\]\.shape=\(\)"),
    "a list": ((X, [2, 0, 1, 0]), "batch.*=list: give an array"),
    "three": ((X, Y, Y), "batch=tuple: give a JAX or NumPy array"),
    "integers": ((Y, X), r"batch\.dtype=int32: give floating-point"),
    "another shape": ((X[:, :1], Y), r"batch\.shape=\(4, 1\).*\(2,\)"),
    "weights": (Examples(X, None, jnp.zeros(3)), r"batch\.log_weights\.shape=\(3,\).* 4 examples"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_batch_is_refused(name):
    batch, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        as_examples(batch, "batch", (2,))


def test_new_positions_keep_conditions_and_weights_in_order():
    assert Examples(X).with_x(2 * X).y is None
    weights = jnp.arange(4.0)
    for num in (1, 3):
        moved = jnp.concatenate([X + i for i in range(num)])
        got = Examples(X, Y, weights).with_x(moved)
        np.testing.assert_array_equal(got.x, moved)
        np.testing.assert_array_equal(got.y, np.tile(Y, num))
        np.testing.assert_array_equal(got.log_weights, np.tile(weights, num))
    conditions = points(4, (1,))
    assert Examples(X, conditions).with_x(jnp.concatenate([X, X])).y.shape == (8, 1)


def test_means_are_by_weight():
    values, weights = jnp.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 2.0, 0.0, 5.0])
    np.testing.assert_allclose(mean(values, Examples(X)), 3.75, rtol=1e-6)
    with np.errstate(divide="ignore"):
        got = mean(values, Examples(X, None, jnp.asarray(7 + np.log(weights))))
    np.testing.assert_allclose(got, (values @ weights) / 8, rtol=1e-5)


def test_each_example_has_the_energy_of_its_own_condition():
    energy = Wells(points(3, (2,), seed=1), jnp.array([1.0, 2.0, 0.5]))
    want = [
        0.5 * energy.precisions[y] * np.sum((np.asarray(x) - np.asarray(energy.modes)[y]) ** 2)
        for x, y in zip(X, np.asarray(Y), strict=True)
    ]
    np.testing.assert_allclose(energies(energy, Examples(X, Y))[0], want, rtol=1e-5)
    with pytest.raises(ValueError, match=r"^batch=x: Wells needs labels .* batches \(x, y\)"):
        energies(energy, Examples(X))
    with pytest.raises(ValueError, match=r"^y\.dtype=float32: give labels as whole numbers"):
        energies(energy, Examples(X, Y.astype(float)))
    with pytest.raises(ValueError, match=r"^y=\[2, 0, 1, 3\]: labels are 0 to 2"):
        energies(energy, Examples(X, Y.at[3].set(3)))


@pytest.mark.parametrize("energy", [Gaussian(jnp.ones(2)), lambda x: jnp.sum(x)])
def test_other_energies_do_not_care_for_labels(energy):
    assert condition(energy, Y) is energy
    (want,) = energies(energy, Examples(X))
    np.testing.assert_array_equal(energies(energy, Examples(X, Y))[0], want)


def test_a_hybrid_energy_is_its_marginal_whatever_the_labels():
    energy = JEM(lambda x: jnp.stack([x[0], x[1], x[0] - x[1]]), (2,))
    (got,) = energies(energy, Examples(X, Y))
    logits = np.stack([X[:, 0], X[:, 1], X[:, 0] - X[:, 1]])
    np.testing.assert_allclose(got, -np.log(np.exp(logits).sum(0)), rtol=1e-5)


def test_weights_of_the_data_reach_the_loss(getkey):
    # an example of twice the weight is the same as two equal examples
    weighted = Examples(X, None, jnp.log(jnp.array([2.0, 1.0, 1.0, 1.0])))
    repeated = jnp.concatenate([X[:1], X])
    trainer = Trainer(optax.sgd(0.1), DataOnly(), score_matching_loss)
    state = trainer.init(Gaussian(jnp.zeros(2), 0.5), key=getkey())
    step, key = eqx.filter_jit(trainer.step), getkey()
    one, two = (step(state, batch, key=key)[0].energy for batch in (weighted, repeated))
    np.testing.assert_allclose(one.whiten, two.whiten, rtol=1e-5)
    assert not np.allclose(one.whiten, state.energy.whiten, rtol=1e-3)


def test_chains_from_weighted_data_have_its_weights(getkey):
    weighted = Examples(X, None, jnp.arange(4.0))
    negatives, _, _ = CD(Langevin(0.1), 1).step(
        Gaussian(jnp.zeros(2)), weighted, None, key=getkey()
    )
    np.testing.assert_array_equal(negatives.log_weights, weighted.log_weights)
    assert eqx.tree_equal(negatives.y, None)


@pytest.mark.parametrize("sizes", [(4, 4), (4, 6), (3, 3, 3)])
@pytest.mark.parametrize("num_devices", [None, 1])
def test_the_energies_of_several_batches_are_those_of_each(sizes, num_devices):
    energy = Gaussian(jnp.array([0.5, -0.5]), 0.3)
    batches = [Examples(points(size, (2,), seed=i)) for i, size in enumerate(sizes)]
    mesh = num_devices and jax.make_mesh((num_devices,), ("data",))

    @jax.jit
    def of_all(batches):
        with _mesh.within(mesh):
            return energies(energy, *batches)

    found = of_all(batches)
    assert len(found) == len(sizes)
    for values, batch in zip(found, batches, strict=True):
        np.testing.assert_allclose(values, jax.vmap(energy)(batch.x), rtol=1e-5)


def test_batches_with_conditions_keep_their_own(getkey):
    energy = Wells(points(3, (2,), seed=1), jnp.array([1.0, 2.0, 0.5]))
    one, two = Examples(X, Y), Examples(2 * X, Y[::-1])
    both = energies(energy, one, two)
    for values, batch in zip(both, (one, two), strict=True):
        np.testing.assert_array_equal(values, energies(energy, batch)[0])


class Bare(AbstractNegatives[None]):
    """Negatives of a user that returns an array."""

    def init(self, shape, *, key):
        return None

    def step(self, energy, positives, state, *, key):
        return positives.x, state, None


def test_negatives_that_are_no_examples_are_refused(getkey):
    trainer = Trainer(optax.sgd(0.1), Bare(), contrastive_loss)
    state = trainer.init(Gaussian(jnp.zeros(2)), key=getkey())
    with pytest.raises(ValueError, match=r"^negatives=.*: a step of negatives returns Examples"):
        trainer.step(state, X, key=getkey())
