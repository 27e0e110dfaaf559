"""Negatives from several sources, each for its part of the batch."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from moves import affine, patched, step, values
from steps import same

from ebmx.energies import MLP
from ebmx.samplers import MALA, ReplicaExchange
from ebmx.training import (
    CD,
    PCD,
    Checkpoints,
    DataOnly,
    Examples,
    Jarzynski,
    NoiseSamples,
    NumStepsAdaptation,
    Objective,
    PerturbedTwice,
    QuadraturePoints,
    ShortRun,
    SplitNegatives,
    TemperedPCD,
    Trainer,
    TransportPairs,
    UniformNoise,
    fit,
    restore,
)
from ebmx.training.negatives._split import _joined_info

KEY = jax.random.key(0)
ENERGY = patched(1.5, 0.3)
X = np.asarray(points(12, (2,)))
FIRST, SECOND = CD(affine(2.0, 1.0), 1), ShortRun(affine(0.5), 1, UniformNoise(3.0, 4.0))


def split(sources, x, key=KEY, energy=ENERGY):
    negatives = SplitNegatives(sources)
    state = negatives.init((2,), key=jax.random.fold_in(key, 7))
    return step(negatives, energy, x, state, key)


@pytest.mark.medium
def test_each_source_sees_its_part_in_order():
    y, weights = jnp.arange(12) % 5, jnp.linspace(-1.0, 1.0, 12)
    out, state, info = split([FIRST, SECOND, FIRST], Examples(jnp.asarray(X), y, weights))
    assert state == (None, None, None)
    x = np.asarray(out.x)
    np.testing.assert_allclose(x[:4], 2 * X[:4] + 1, rtol=1e-6)
    np.testing.assert_allclose(x[8:], 2 * X[8:] + 1, rtol=1e-6)
    assert np.all((x[4:8] >= 1.5) & (x[4:8] <= 2))
    np.testing.assert_array_equal(out.y, y)
    np.testing.assert_allclose(out.log_weights, weights, atol=1e-6)
    # what the chains report stands in the same order
    np.testing.assert_array_equal(info.restarted, np.repeat([False, True, False], 4))
    np.testing.assert_allclose(info.chains.energy, values(ENERGY, x), rtol=1e-5)
    assert info.dead.shape == info.chains.acceptance.shape == info.chains.grad_norm.shape == (12,)
    assert (info.swap_rate, info.num_steps, info.at_limit) == (None, None, None)


@pytest.mark.medium
def test_sources_have_keys_and_states_of_their_own():
    noisy, buffer = ShortRun(affine(), 1), PCD(affine(1.0, 1.0), 1, 16, 0.0)
    out, state, _ = split([noisy, noisy, buffer, buffer], X)
    assert len(np.unique(out.x, axis=0)) == 12
    assert state[:2] == (None, None)
    start = SplitNegatives([noisy, noisy, buffer, buffer]).init(
        (2,), key=jax.random.fold_in(KEY, 7)
    )
    assert not np.array_equal(start[2].positions, start[3].positions)
    for before, after, x in zip(start[2:], state[2:], (out.x[6:9], out.x[9:]), strict=True):
        moved = np.flatnonzero(np.asarray(after.ages))
        assert len(moved) == 3
        found = np.asarray(before.positions)[moved] + 1
        np.testing.assert_allclose(np.sort(found, 0), np.sort(x, 0), rtol=1e-6)


def test_a_source_without_chains_reports_nothing():
    out, _, info = split([DataOnly(), FIRST], X)
    np.testing.assert_array_equal(out.x[:6], X[:6])
    assert info.dead.shape == info.chains.energy.shape == (6,)
    np.testing.assert_allclose(info.chains.energy, values(ENERGY, out.x[6:]), rtol=1e-5)
    assert out.log_weights is None
    assert split([DataOnly(), DataOnly()], X)[2] is None


@pytest.mark.medium
def test_what_is_measured_of_some_chains_is_a_mean_over_those():

    ladder = ReplicaExchange(MALA(0.1), jnp.array([1.0, 2.0]))
    sources = [FIRST, TemperedPCD(ladder, 2, 8), NumStepsAdaptation(CD(MALA(0.1), 3))]
    _, state, info = split(sources, X)
    alone = step(sources[1], ENERGY, X[4:8], state[1], KEY)[2]
    assert info.swap_rate.shape == alone.swap_rate.shape == ()
    assert 0 <= float(info.swap_rate) <= 1
    assert (int(info.num_steps), info.num_steps.dtype) == (3, jnp.int32)
    # chains that report no gradient leave out their part of the norms
    parts = [info, eqx.tree_at(lambda i: i.chains.grad_norm, info, None)]
    parts = [
        eqx.tree_at(lambda i: i.saturated, p, jnp.float32(s))
        for p, s in zip(parts, (0, 1), strict=True)
    ]
    small = jax.tree.map(lambda a: a[:4] if a.ndim else a, parts[1])
    joined = _joined_info([parts[0], small])
    assert (joined.chains.energy.shape, joined.chains.grad_norm.shape) == ((16,), (12,))
    np.testing.assert_allclose(joined.saturated, 4 / 16)


@pytest.mark.medium
def test_each_source_counts_as_much_as_its_positives():
    # weights of any scale, and more negatives than positives
    weighted = Jarzynski(affine(0.0), 1, 8)
    many = NoiseSamples(UniformNoise(-1.0, 1.0), ratio=3)
    for given in (None, jnp.linspace(0.0, 3.0, 12)):
        out, _, _ = split([FIRST, weighted, many], Examples(jnp.asarray(X), None, given))
        assert out.x.shape == (4 + 8 + 12, 2)
        weights = np.exp(np.asarray(out.log_weights, np.float64))
        sums = [part.sum() for part in np.split(weights, [4, 12])]
        of_positives = np.ones(12) if given is None else np.exp(np.asarray(given, np.float64))
        np.testing.assert_allclose(sums, of_positives.reshape(3, 4).sum(1), rtol=1e-5)
        if given is not None:
            np.testing.assert_allclose(weights[:4], of_positives[:4], rtol=1e-5)


def test_several_negatives_of_each_example_stand_as_they_do_without_a_split():
    twice = PerturbedTwice(1e-8, 3)
    out, _, info = split([twice, twice], X)
    assert info is None
    np.testing.assert_allclose(out.x, np.concatenate([X] * 3), atol=1e-3)
    assert out.log_weights is None
    pairs, _, _ = split([TransportPairs(), TransportPairs(plan="exact")], X)
    assert pairs.y.shape == (12,)


@pytest.mark.medium
def test_a_training_with_a_split_goes_on_bit_for_bit(tmp_path):
    chains = SplitNegatives((CD(MALA(0.1), 2), PCD(MALA(0.1), 2, 16)))
    further = Objective(chains, weight=0.5, start=1, name="further")
    trainer = Trainer(optax.sgd(0.05), chains, objectives=[further])
    start = trainer.init(MLP((2,), (8,), key=KEY), key=KEY)

    def go_on(state, num_steps, **more):
        options = {"num_steps": num_steps, "key": KEY, "progress": False, **more}
        return fit(trainer, state, [X] * num_steps, **options)

    whole, history = go_on(start, 4)
    assert {"acceptance", "distinct", "further_acceptance"} <= set(history)
    assert np.all(history["distinct"] == 1)
    go_on(start, 2, checkpoints=Checkpoints(tmp_path))
    loaded = restore(tmp_path, trainer.init(MLP((2,), (8,), key=KEY), key=jax.random.key(3)))
    assert same(go_on(loaded, 2)[0], whole)
    on_mesh, _ = go_on(start, 4, mesh=jax.make_mesh((1,), ("data",)))
    for one, two in zip(*map(_numbers, (on_mesh, whole)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def _numbers(state):
    return jax.tree.leaves(eqx.filter(state.energy, eqx.is_array))


BAD = {
    "one": (lambda: SplitNegatives([FIRST]), r"sources=\['CD'\]: give at least two sources"),
    "no source": (lambda: SplitNegatives([FIRST, 3]), "sources=list: give a tuple, each negatives"),
    "a grid": (
        lambda: SplitNegatives([FIRST, QuadraturePoints(np.zeros(2), np.ones(2))]),
        r"sources=\['CD', 'QuadraturePoints'\]: points of a grid are no part of a batch",
    ),
    "size": (
        lambda: split([FIRST, SECOND], X[:5]),
        "batch_size=5: give a multiple of the 2 sources",
    ),
    "conditions": (
        lambda: split([FIRST, TransportPairs()], X),
        "sources=1 of 2: some sources have conditions and some have none",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    mistake, message = BAD[name]
    with pytest.raises(ValueError, match=f"^{message}"):
        mistake()
