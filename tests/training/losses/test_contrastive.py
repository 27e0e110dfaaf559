"""Losses of energies and labels against NumPy, and the likelihood of a Gaussian."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from closed_forms import Wells, apply, call_loss
from helpers import points

from ebmx import _mesh
from ebmx.energies import JEM, MLP, Gaussian
from ebmx.training import Examples, WeightedSum, contrastive_loss, cross_entropy_loss

NETWORK = MLP((2,), (8,), key=jax.random.key(1))
REAL, FAKE = points(6, (2,), seed=3), points(6, (2,), seed=4, scale=2.0) + 0.5


@eqx.filter_jit
def gradient(energy, positives, negatives, alpha=np.float32(0.0)):  # noqa: B008
    def loss(energy):
        return apply(contrastive_loss, energy, positives, negatives, alpha=alpha)[0]

    return eqx.filter_grad(loss)(energy)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 2])
def test_agrees_with_numpy(alpha):
    mean, variance = np.array([0.5, -1.0]), np.array([0.7, 2.0])
    real, fake = (
        0.5 * np.sum((np.asarray(x, np.float64) - mean) ** 2 / variance, axis=1)
        for x in (REAL, FAKE)
    )
    energy, alpha = Gaussian(mean, variance), np.float32(alpha)
    loss, metrics = call_loss(contrastive_loss, energy, REAL, FAKE, alpha=alpha)
    expected = real.mean() - fake.mean() + alpha * ((real**2).mean() + (fake**2).mean())
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert loss.shape == ()
    assert set(metrics) == {
        "real_energy_mean",
        "fake_energy_mean",
        "real_energy_std",
        "fake_energy_std",
    }
    np.testing.assert_allclose(metrics["real_energy_mean"], real.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["fake_energy_mean"], fake.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["real_energy_std"], real.std(), rtol=1e-4)
    np.testing.assert_allclose(metrics["fake_energy_std"], fake.std(), rtol=1e-4)


def test_no_gradient_where_negatives_are_the_positives():
    same = jax.tree.leaves(gradient(NETWORK, REAL, REAL))
    assert all(np.allclose(g, 0, atol=1e-6) for g in same)
    assert any(np.abs(g).max() > 1e-2 for g in jax.tree.leaves(gradient(NETWORK, REAL, FAKE)))
    pulled = jax.tree.leaves(gradient(NETWORK, REAL, REAL, np.float32(1.0)))
    assert any(np.abs(g).max() > 1e-3 for g in pulled)


def test_swapping_positives_and_negatives_turns_the_sign():
    zero = np.float32(0.0)
    forth = call_loss(contrastive_loss, NETWORK, REAL, FAKE, alpha=zero)[0]
    back = call_loss(contrastive_loss, NETWORK, FAKE, REAL, alpha=zero)[0]
    np.testing.assert_allclose(forth, -back, rtol=1e-5)
    assert abs(float(forth)) > 1e-3


def test_the_gradient_is_that_of_the_likelihood_of_a_gaussian():
    mean, scale = np.array([0.4, -0.3]), np.array([0.8, 1.5])
    data, draws = np.random.default_rng(5).normal(size=(2, 64, 2))
    # negatives whose first two moments are the model's, so that no sampling error is left
    exact = mean + scale * (draws - draws.mean(0)) / draws.std(0)

    def log_likelihood(mean, precision_root):
        z = precision_root * (data - mean)
        terms = -0.5 * z**2 + np.log(precision_root) - 0.5 * np.log(2 * np.pi)
        return terms.sum(axis=1).mean()

    def differences(function, at, h=1e-5):
        steps = h * np.eye(len(at))
        return np.array([(function(at + s) - function(at - s)) / (2 * h) for s in steps])

    energy = Gaussian(mean, scale**2)
    found = gradient(energy, jnp.asarray(data, float), jnp.asarray(exact, float))
    root = 1 / scale
    by_mean = differences(lambda m: log_likelihood(m, root), mean)
    by_root = differences(lambda r: log_likelihood(mean, r), root)
    np.testing.assert_allclose(found.mean, -by_mean, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.whiten, -by_root, rtol=1e-3, atol=1e-4)
    # and in closed form: the difference of the means, times the precision
    np.testing.assert_allclose(found.mean, -(data.mean(0) - mean) / scale**2, rtol=1e-4)


def test_the_mean_of_each_batch_does_not_depend_on_its_size():
    alpha = np.float32(0.1)
    twice = np.concatenate([FAKE, FAKE])
    small, large = (
        call_loss(contrastive_loss, NETWORK, REAL, y, alpha=alpha)[0] for y in (FAKE, twice)
    )
    np.testing.assert_allclose(small, large, rtol=1e-5)
    turned, wide = (
        call_loss(contrastive_loss, NETWORK, y, REAL, alpha=alpha)[0] for y in (FAKE, twice)
    )
    np.testing.assert_allclose(turned, wide, rtol=1e-5)


@pytest.mark.parametrize("fake", [FAKE, np.concatenate([FAKE, FAKE - 1])])
def test_what_is_traced_for_a_mesh_has_the_same_energies(fake):
    mesh, alpha = jax.make_mesh((1,), ("data",)), np.float32(0.1)

    @jax.jit
    def of_mesh(real, fake):
        with _mesh.within(mesh):
            assert _mesh.is_shared()
            return apply(contrastive_loss, NETWORK, real, fake, alpha=alpha)

    loss, metrics = of_mesh(REAL, fake)
    expected, want = call_loss(contrastive_loss, NETWORK, REAL, fake, alpha=alpha)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for name, value in want.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)


def test_batches_are_of_one_shape():
    with pytest.raises(ValueError, match=r"negatives\.shape"):
        apply(contrastive_loss, NETWORK, REAL, FAKE[:, :1])


WELLS = Wells(points(3, (2,)), jnp.array([1.0, 2.0, 0.5]))
X, OTHERS = points(4, (2,), seed=1), points(6, (2,), seed=2)
Y, OTHER_LABELS = np.array([2, 0, 1, 2]), jnp.array([0, 1, 2, 0, 1, 0])


def of_wells(x, y):
    modes, precisions = np.asarray(WELLS.modes)[y], np.asarray(WELLS.precisions)[y]
    return 0.5 * precisions * np.sum((np.asarray(x, np.float64) - modes) ** 2, 1)


def squares(metrics):
    """The sum of the two means of squared energies."""
    names = [f"{which}_energy_{what}" for which in ("real", "fake") for what in ("mean", "std")]
    return sum(metrics[name] ** 2 for name in names)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_weighted_negatives_are_averaged_by_their_weights(alpha):
    counts = np.array([3.0, 0.0, 1.0, 2.0, 0.0, 4.0])
    with np.errstate(divide="ignore"):
        weighted = Examples(OTHERS, None, jnp.asarray(np.log(counts) - 5, jnp.float32))
    # the same as each as often as it weighs
    repeated = np.repeat(OTHERS, counts.astype(int), axis=0)
    energy = Gaussian(jnp.array([0.3, -0.2]), 0.7)
    alpha = np.float32(alpha)
    one, one_metrics = call_loss(contrastive_loss, energy, X, weighted, alpha=alpha)
    two, two_metrics = call_loss(contrastive_loss, energy, X, repeated, alpha=alpha)
    np.testing.assert_allclose(one, two, rtol=1e-5)
    for name, value in two_metrics.items():
        np.testing.assert_allclose(one_metrics[name], value, rtol=1e-4, err_msg=name)
    gradients = (jax.tree.leaves(gradient(energy, X, fake, alpha)) for fake in (weighted, repeated))
    for g, h in zip(*gradients, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-4, atol=1e-6)
    # and so are positives
    turned, turned_metrics = call_loss(contrastive_loss, energy, weighted, X, alpha=alpha)
    np.testing.assert_allclose(turned, -one + 2 * alpha * squares(one_metrics), rtol=1e-4)
    for name, value in one_metrics.items():
        other = name.replace("real", "fake") if "real" in name else name.replace("fake", "real")
        np.testing.assert_allclose(turned_metrics[other], value, rtol=1e-4, err_msg=name)


def test_each_example_counts_under_its_own_label():
    loss, metrics = call_loss(contrastive_loss, WELLS, (X, Y), Examples(OTHERS, OTHER_LABELS))
    real, fake = of_wells(X, Y), of_wells(OTHERS, OTHER_LABELS)
    np.testing.assert_allclose(loss, real.mean() - fake.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["fake_energy_std"], fake.std(), rtol=1e-4)
    np.testing.assert_allclose(metrics["real_energy_std"], real.std(), rtol=1e-4)
    weights = jnp.arange(6.0)
    loss, _ = call_loss(contrastive_loss, WELLS, (X, Y), Examples(OTHERS, OTHER_LABELS, weights))
    shares = scipy.special.softmax(np.arange(6.0))
    np.testing.assert_allclose(loss, real.mean() - shares @ fake, rtol=1e-5)


class Linear(eqx.Module):
    weight: jax.Array

    def __call__(self, x):
        return self.weight @ x


HYBRID = JEM(Linear(points(3, (2,), seed=3)), (2,))


def test_cross_entropy_agrees_with_numpy():
    energy = HYBRID
    logits = np.asarray(X, np.float64) @ np.asarray(energy.network.weight).T
    log_p = scipy.special.log_softmax(logits, 1)[np.arange(4), Y]
    right = logits.argmax(1) == Y
    assert set(right) == {False, True}
    loss, metrics = call_loss(cross_entropy_loss, energy, (X, Y), None)
    np.testing.assert_allclose(loss, -log_p.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], right.mean())
    weights = np.array([0.0, 1.0, 2.0, -1.0])
    weighted = Examples(X, Y, jnp.asarray(weights, jnp.float32))
    loss, metrics = call_loss(cross_entropy_loss, energy, weighted, None)
    shares = scipy.special.softmax(weights)
    np.testing.assert_allclose(loss, -shares @ log_p, rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], shares @ right, rtol=1e-5)


@pytest.mark.parametrize("label", [3, -1])
def test_cross_entropy_of_a_label_out_of_range_is_no_number(label):
    labels = np.where(np.arange(4) == 1, label, Y)
    assert np.isnan(call_loss(cross_entropy_loss, HYBRID, (X, labels), None)[0])


def test_a_weighted_sum_has_the_losses_and_metrics_of_all():
    energy = HYBRID
    both = WeightedSum((contrastive_loss, cross_entropy_loss), (0.5, 2))
    loss, metrics = call_loss(both, energy, (X, Y), OTHERS)
    one, one_metrics = call_loss(contrastive_loss, energy, X, OTHERS)
    two, two_metrics = call_loss(cross_entropy_loss, energy, (X, Y), None)
    np.testing.assert_allclose(loss, 0.5 * one + 2 * two, rtol=1e-5)
    want = {"loss_0": one, "loss_1": two} | one_metrics | two_metrics
    assert metrics.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)


def test_weights_of_any_kind_and_value_run_the_same_program():
    traces = []

    def half(energy, positives, negatives):
        traces.append(energy)
        return jnp.asarray(0.5), {}

    losses = [WeightedSum((half,), (w,)) for w in (2, 3.0, np.float64(0.5), jnp.asarray(-4))]
    assert [float(call_loss(loss, None, X, None)[0]) for loss in losses] == [1.0, 1.5, 0.25, -2.0]
    assert len(traces) == 1


BAD = {
    "no logits": (
        lambda: apply(cross_entropy_loss, WELLS, (X, Y), None),
        "energy=Wells: cross entropy needs an energy with logits, such as ebmx.energies.JEM",
    ),
    "no labels": (
        lambda: apply(cross_entropy_loss, HYBRID, X, None),
        r"positives=x: cross entropy needs labels: train on batches \(x, y\)",
    ),
    "labels as numbers": (
        lambda: apply(cross_entropy_loss, HYBRID, (X, X[:, 0]), None),
        r"y\.dtype=float32: give labels as whole numbers",
    ),
    "labels as columns": (
        lambda: apply(cross_entropy_loss, HYBRID, (X, Y[:, None]), None),
        r"y\.shape=\(4, 1\): give labels as whole numbers, one for each example",
    ),
    "no negative labels": (
        lambda: call_loss(contrastive_loss, WELLS, (X, Y), OTHERS),
        r"batch=x: Wells needs labels or conditions",
    ),
    "no loss": (
        lambda: WeightedSum((), ()),
        r"losses=\(\): give at least one function of \(energy",
    ),
    "one loss": (lambda: WeightedSum(contrastive_loss, (1.0,)), "losses=.*: give a tuple"),
    "turned": (lambda: WeightedSum((1.0,), (contrastive_loss,)), r"losses=\(1\.0,\): give a tuple"),
    "no number": (
        lambda: WeightedSum((contrastive_loss,), (float("nan"),)),
        "weights=nan: give finite numbers",
    ),
    "one weight": (
        lambda: WeightedSum((contrastive_loss, cross_entropy_loss), (1.0,)),
        "weights=.*: give a number for each of the 2 losses",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    mistake, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        mistake()
