"""Weighted chains stand for the energy exactly, whether they mix or not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import moves
import numpy as np
import optax
import pytest
import scipy.special
from closed_forms import STILL
from moves import affine, init, patched, values
from weighted_chains import NARROW, NOWHERE, WIDE, X, population, step, weighted

from ebmx.energies import Gaussian
from ebmx.samplers import (
    MALA,
    AbstractSampler,
    Annealed,
    Cycle,
    Independence,
    Langevin,
    ReplicaExchange,
    StepInfo,
)
from ebmx.training import (
    Examples,
    GaussianNoise,
    Jarzynski,
    StepSizeAdaptation,
    UniformNoise,
    contrastive_loss,
)
from ebmx.training.negatives._jarzynski import Populations

LOG_WEIGHTS = np.linspace(-0.5, 0.5, 8)


def test_an_update_adds_the_change_of_the_energy(getkey):
    out, chains = step(NARROW, population(LOG_WEIGHTS), getkey())
    old, new = (values(e, X) for e in (WIDE, NARROW))
    weights = LOG_WEIGHTS + old - new
    np.testing.assert_allclose(chains.log_weights, weights, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(chains.last_energies, new, rtol=1e-5)
    np.testing.assert_array_equal(chains.positions, X)
    log_z = 0.3 + scipy.special.logsumexp(weights) - np.log(8)
    np.testing.assert_allclose(chains.log_z, log_z, rtol=1e-5)
    share = np.exp(weights).sum() ** 2 / np.exp(2 * weights).sum() / 8
    np.testing.assert_allclose(chains.effective_fraction, share, rtol=1e-5)
    assert share > 0.5
    assert int(chains.resamplings) == 2
    np.testing.assert_array_equal(out.x, X)
    np.testing.assert_array_equal(out.log_weights, chains.log_weights)
    assert out.y is None
    # and an energy that stays the same adds nothing
    _, again = step(NARROW, Populations(chains, None, jnp.array(0.0)), getkey())
    np.testing.assert_allclose(again.log_weights, chains.log_weights, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_chain_that_is_not_finite_counts_for_nothing(value, getkey):
    energy = patched(0.0, 0.0, 0.0, value)
    state, alive = population(np.zeros(8), log_z_before=0.0), np.asarray(X)[:, 0] < 0
    assert 2 < alive.sum() < 7
    out, chains = step(energy, state, getkey(), resample_below=0.0)
    np.testing.assert_array_equal(np.isfinite(chains.log_weights), alive)
    np.testing.assert_array_equal(np.asarray(chains.positions)[alive], np.asarray(X)[alive])
    old = values(WIDE, X)
    # and goes to where the likeliest is
    likeliest = np.asarray(X)[np.argmax(np.where(alive, old, -np.inf))]
    np.testing.assert_array_equal(
        np.asarray(chains.positions)[~alive], np.tile(likeliest, (np.sum(~alive), 1))
    )
    np.testing.assert_allclose(chains.log_z, np.log(np.exp(old[alive]).sum() / 8), rtol=1e-5)

    @jax.jit
    @jax.value_and_grad
    def loss(scale):
        positives = Examples(-abs(X))
        return contrastive_loss(lambda x: scale * energy(x) + scale * x[1], positives, out)[0]

    assert np.all(np.isfinite(loss(jnp.array(1.0))))
    # where the energy is finite again, this chain still has weight 0
    _, later = step(WIDE, Populations(chains, None, jnp.array(0.0)), getkey(), resample_below=0.0)
    np.testing.assert_array_equal(np.isfinite(later.log_weights), alive)
    np.testing.assert_allclose(later.log_z, np.log(alive.mean()), rtol=1e-4)
    # until chains are resampled
    _, again = step(WIDE, Populations(later, None, jnp.array(0.0)), getkey(), resample_below=1.0)
    np.testing.assert_array_equal(again.log_weights, 0)
    assert np.all(np.asarray(again.positions)[:, 0] < 0)
    np.testing.assert_allclose(again.log_z, np.log(alive.mean()), rtol=1e-4)


def test_an_energy_that_is_finite_nowhere_leaves_all_as_it_was(getkey):
    state = population(LOG_WEIGHTS)
    _, chains = step(NOWHERE, state, getkey())
    assert all(map(np.array_equal, jax.tree.leaves(chains), jax.tree.leaves(state.training)))
    _, later = step(NARROW, Populations(chains, None, jnp.array(0.0)), getkey())
    _, direct = step(NARROW, state, getkey())
    np.testing.assert_allclose(later.log_weights, direct.log_weights, rtol=1e-5)


def test_all_chains_move_and_their_energies_with_them(getkey):
    x, edge = np.asarray(X), 0.4
    dies = x[:, 0] > edge
    held_out = weighted(LOG_WEIGHTS[::-1], x=-X)
    state = Populations(weighted(LOG_WEIGHTS), held_out, jnp.array(0.0))
    negatives = Jarzynski(affine(1.0, 0.25, edge=edge), 1, 8, 8, resample_below=0.0)
    out, after, info = moves.step(negatives, NARROW, X, state, getkey())
    for chains, start, log_weights in (
        (after.training, x, LOG_WEIGHTS),
        (after.held_out, -x, LOG_WEIGHTS[::-1]),
    ):
        # a chain that leaves the finite numbers stays where it was
        moved = np.where(start[:, :1] > edge, start, start + 0.25)
        np.testing.assert_allclose(chains.positions, moved, rtol=1e-5)
        np.testing.assert_allclose(chains.last_energies, values(NARROW, moved), rtol=1e-5)
        # weights are those of where the chains were when the energy changed
        want = log_weights + values(WIDE, start) - values(NARROW, start)
        np.testing.assert_allclose(chains.log_weights, want, rtol=1e-5, atol=1e-6)
        log_z = 0.3 + scipy.special.logsumexp(want) - np.log(8)
        np.testing.assert_allclose(chains.log_z, log_z, rtol=1e-5)
    np.testing.assert_array_equal(out.x, after.training.positions)
    np.testing.assert_array_equal(after.log_z, after.held_out.log_z)
    assert 0 < dies.sum() < 8
    np.testing.assert_array_equal(info.dead, np.concatenate([dies, -x[:, 0] > edge]))
    assert not np.any(info.restarted)


def test_the_start_is_the_noise_with_its_normaliser(getkey):
    noise = UniformNoise(-2.0, 3.0)
    state = init(Jarzynski(STILL, 1, 16, num_held_out=1, noise=noise), (2,), getkey())
    assert state.training.positions.shape == (16, 2)
    assert state.held_out.positions.shape == (1, 2)
    both = np.concatenate([state.training.positions, state.held_out.positions])
    assert len(np.unique(both)) == 34
    assert np.all((both >= -2) & (both < 3))
    for chains in (state.training, state.held_out):
        np.testing.assert_array_equal(chains.log_weights, 0)
        np.testing.assert_allclose(chains.last_energies, 2 * np.log(5.0), rtol=1e-6)
        np.testing.assert_allclose(chains.log_z, 0, atol=1e-6)
        assert int(chains.resamplings) == 0
    assert float(state.log_scale) == 0
    alone = jax.eval_shape(lambda: Jarzynski(STILL, 1, 16).init((2,), key=jax.random.key(0)))
    assert alone.held_out is None


class Halves(AbstractSampler[None]):
    """A sampler that halves the position, and tells it as its acceptance."""

    step_size: jax.Array

    is_invariant = True

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        zero = jnp.zeros(())
        return 0.5 * x, state, StepInfo(zero, zero, jax.nn.sigmoid(x[0]), zero > 0)


def test_what_is_held_out_reaches_nothing_but_log_z(getkey):
    sampler, noise = Halves(jnp.array(0.5)), GaussianNoise()
    negatives = Jarzynski(
        sampler, 2, 8, num_held_out=8, noise=noise, adaptation=StepSizeAdaptation()
    )
    state, key = init(negatives, (2,), getkey()), getkey()
    other = eqx.tree_at(lambda s: s.held_out.positions, state, 5 + state.held_out.positions)
    one, two = (moves.step(negatives, WIDE, X, s, key)[:2] for s in (state, other))
    assert not np.isclose(one[1].log_z, two[1].log_z)
    for a, b in zip(
        jax.tree.leaves((one[0], one[1].training, one[1].log_scale)),
        jax.tree.leaves((two[0], two[1].training, two[1].log_scale)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert float(one[1].log_scale) != 0
    np.testing.assert_array_equal(one[1].log_z, one[1].held_out.log_z)


def test_one_step_size_is_tuned_for_all_chains(getkey):
    adaptation = StepSizeAdaptation(target=0.6, gain=0.1)
    negatives = Jarzynski(STILL, 1, 8, adaptation=adaptation)
    state, want = population(np.zeros(8)), 0.0
    for _ in range(3):
        _, state, info = moves.step(negatives, WIDE, X, state, getkey())
        want += 0.1 * (0.5 * np.exp(want) - 0.6)
        np.testing.assert_allclose(state.log_scale, want, rtol=1e-4)
        assert float(info.at_limit) == 0
    # an acceptance that stays above the target drives it to its limit, and no further
    state = eqx.tree_at(lambda s: s.log_scale, state, jnp.array(6.9))
    for _ in range(2):
        _, state, info = moves.step(negatives, WIDE, X, state, getkey())
    np.testing.assert_allclose(state.log_scale, np.log(1000), rtol=1e-6)
    assert float(info.at_limit) == 1


LADDER = ReplicaExchange(MALA(0.1), jnp.array([1.0, 2.0]))
BAD = {
    "sampler": (lambda: Jarzynski(None), "sampler=None: give a sampler"),
    "steps": (lambda: Jarzynski(STILL, 0), "num_steps=0: give a Python integer of at least 1"),
    "chains": (lambda: Jarzynski(STILL, 1, 0), "num_chains=0: give a Python integer of at least 1"),
    "held out": (lambda: Jarzynski(STILL, num_held_out=-1), "num_held_out=-1: give a Python int"),
    "below": (lambda: Jarzynski(STILL, resample_below=1.5), r"resample_below=1\.5: give a prob"),
    "negatives": (lambda: Jarzynski(STILL, num_negatives=0), "num_negatives=0: give a Python int"),
    "not adjusted": (lambda: Jarzynski(Langevin(0.1)), "sampler=Langevin: it does not leave"),
    "not adjusted within": (
        lambda: Jarzynski(Cycle((MALA(0.1), Langevin(0.1)))),
        "sampler=Cycle: it does not leave the density invariant",
    ),
    "annealed": (
        lambda: Jarzynski(Annealed(Langevin(0.1), temperature=optax.linear_schedule(2.0, 1.0, 5))),
        "sampler=Annealed: it does not leave the density invariant",
    ),
    "replica exchange": (
        lambda: Jarzynski(LADDER),
        "sampler=ReplicaExchange: its state cannot be made again .* there is TemperedPCD",
    ),
    "replica exchange within": (
        lambda: Jarzynski(Cycle((Independence(Gaussian(jnp.zeros(2))), LADDER))),
        "sampler=Cycle: its state cannot be made again",
    ),
    "noise": (
        lambda: Jarzynski(STILL, noise=lambda shape: 0.0),
        "noise=function: give a noise with a log_density, such as UniformNoise",
    ),
    "adaptation": (
        lambda: Jarzynski(_NoStep(), adaptation=StepSizeAdaptation()),
        "adaptation=_NoStep: _NoStep has no step size",
    ),
}


class _NoStep(AbstractSampler[None]):
    is_invariant = True

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        raise AssertionError("it is refused before a step")


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()
