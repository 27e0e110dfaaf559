"""The contrastive loss without the highest negative energies, and above a bound."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_forms import apply
from helpers import points

from ebmx.training import Examples, contrastive_loss
from ebmx.training._batch import energies, mean


class Linear(eqx.Module):
    """`E(x) = θ x`, whose gradient is the difference of the means of `x`."""

    slope: jax.Array

    def __call__(self, x):
        return self.slope * x[0]


ENERGY = Linear(jnp.float32(2.0))
REAL = np.array([[0.5], [-1.5], [2.0]], np.float32)
FAKE = np.array([[3.0], [-1.0], [7.0], [0.5], [5.0], [-2.0], [1.0], [9.0]], np.float32)


@eqx.filter_jit
def value_and_slope(negatives, options, energy=ENERGY, real=REAL):
    def loss(energy):
        return apply(contrastive_loss, energy, real, negatives, **options)[0]

    value, gradient = eqx.filter_value_and_grad(loss)(energy)
    return value, gradient.slope


def trimmed(x, trim, counts=None):
    """The mean of the lowest ones, by hand: each number stands as often as it counts."""
    x = np.sort(np.repeat(x, 1000 * (1 if counts is None else counts)))
    return np.mean(x[: round((1 - trim) * len(x))])


@pytest.mark.parametrize("trim", [0.0, 0.125, 0.3, 0.5, 0.99])
def test_the_highest_negatives_are_left_out(trim):
    want = REAL.mean() - trimmed(FAKE[:, 0], trim)
    value, slope = value_and_slope(FAKE, {"trim": np.float32(trim)})
    np.testing.assert_allclose(value, 2 * want, rtol=1e-5)
    np.testing.assert_allclose(slope, want, rtol=1e-5)


def test_those_of_highest_energy_are_not_those_of_largest_position():
    energy = Linear(jnp.float32(-2.0))
    want = REAL.mean() + trimmed(-FAKE[:, 0], 0.3)
    value, slope = value_and_slope(FAKE, {"trim": np.float32(0.3)}, energy)
    np.testing.assert_allclose(value, -2 * want, rtol=1e-5)
    np.testing.assert_allclose(slope, want, rtol=1e-5)


@pytest.mark.parametrize("trim", [0.1, 0.45])
def test_the_fraction_is_one_of_the_weights(trim):
    counts = np.array([3, 1, 2, 0, 4, 1, 5, 2])
    with np.errstate(divide="ignore"):
        weighted = Examples(jnp.asarray(FAKE), None, jnp.log(jnp.asarray(counts, float)) + 4)
    want = REAL.mean() - trimmed(FAKE[:, 0], trim, counts)
    value, slope = value_and_slope(weighted, {"trim": np.float32(trim)})
    np.testing.assert_allclose(value, 2 * want, rtol=1e-5)
    np.testing.assert_allclose(slope, want, rtol=1e-5)


@pytest.mark.parametrize("trim", [0.0, 0.25])
def test_there_is_no_gradient_below_the_bound(trim):
    alpha, trim = np.float32(0.3), np.float32(trim)
    mean = REAL.mean() - trimmed(FAKE[:, 0], trim)
    # α θ² (mean x⁺² + mean x⁻²), of all examples
    squares = (REAL**2).mean() + (FAKE**2).mean()
    size, pull = 0.3 * 4 * squares, 0.3 * 4 * squares
    for bound in (2 * mean - 0.1, 2 * mean + 0.1, 50.0):
        options = {"trim": trim, "alpha": alpha, "lower_bound": np.float32(bound)}
        value, slope = value_and_slope(FAKE, options)
        below = bound > 2 * mean
        np.testing.assert_allclose(value, (bound if below else 2 * mean) + size, rtol=1e-5)
        np.testing.assert_allclose(slope, (0.0 if below else mean) + pull, rtol=1e-5)


def test_the_gradient_passes_at_the_bound_itself():
    # numbers that float32 holds: θ (1/4 - 3/4) = -1
    real, fake = np.float32([[0.25]]), np.float32([[0.75]])
    for bound, want in ((-1.0, -0.5), (np.nextafter(np.float32(-1), np.float32(0)), 0.0)):
        value, slope = value_and_slope(fake, {"lower_bound": np.float32(bound)}, real=real)
        assert value == bound
        assert slope == want


def test_what_is_not_a_number_stays_so():
    fake = np.where(FAKE == 7, np.nan, FAKE)
    assert np.isnan(value_and_slope(fake, {"lower_bound": np.float32(-1.0)})[0])


@eqx.filter_jit
@eqx.filter_value_and_grad
def before(energy, real, fake, alpha):
    """The loss as it is without trimming and bound."""
    positives, negatives = Examples(real), Examples(fake)
    real, fake = energies(energy, positives, negatives)
    size = mean(real**2, positives) + mean(fake**2, negatives)
    return mean(real, positives) - mean(fake, negatives) + alpha * size


@pytest.mark.parametrize("options", [{}, {"trim": 0}, {"trim": 0.0, "lower_bound": None}])
def test_without_them_all_is_as_before_to_the_bit(options):
    real, fake = points(7, (1,), seed=1), points(7, (1,), seed=2)
    alpha = np.float32(0.1)
    value, gradient = before(ENERGY, real, fake, alpha)
    found = value_and_slope(fake, {"alpha": alpha, **options}, real=real)
    assert (float(value), float(gradient.slope)) == (*map(float, found),)
    # a zero that is traced is the same but for rounding
    zero = {"alpha": alpha, "trim": np.float32(0.0), "lower_bound": np.float32(-1e6)}
    np.testing.assert_allclose(value_and_slope(fake, zero, real=real), found, rtol=1e-5)


def test_other_numbers_run_the_same_program():
    traces = []

    @jax.jit
    def loss(options):
        traces.append(options)
        return apply(contrastive_loss, ENERGY, REAL, FAKE, **options)[0]

    found = [loss({"trim": jnp.float32(t), "lower_bound": jnp.float32(-9)}) for t in (0.0, 0.2)]
    assert len({*map(float, found)}) == 2
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trim": 1.0}, r"trim=1\.0: give a number in \[0, 1\)"),
        ({"trim": -0.1}, r"trim=-0\.1: give a number in \[0, 1\)"),
        ({"trim": float("nan")}, r"trim=nan: give a number in \[0, 1\)"),
        ({"lower_bound": -float("inf")}, "lower_bound=-inf: give finite numbers"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        apply(contrastive_loss, ENERGY, REAL, FAKE, **options)
