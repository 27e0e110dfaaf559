"""Training changes parameters; constants stay as they are, bit for bit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import conditional, points
from reference import filled
from steps import step

from ebmx.energies import (
    AbstractEnergy,
    Box,
    Fixed,
    Gaussian,
    GaussianMixture,
    Normalised,
    constant,
    trainable,
)
from ebmx.training import DataOnly, Examples, Trainer, fit

KEY, X = jax.random.key(0), points(8, (2,))
# weight decay moves a number whose gradient is zero
ADAMW = optax.adamw(0.1, weight_decay=0.5)


class Waves(AbstractEnergy):
    """Trained weights of fixed random features."""

    shape: tuple[int, ...] = eqx.field(static=True)
    weights: jax.Array
    frequencies: jax.Array = constant()

    def __call__(self, x):
        return self.weights @ jnp.cos(self.frequencies @ x)


def mean_energy(energy, positives, negatives):
    return jnp.mean(jax.vmap(energy)(positives.x)), {}


def trainer(**options):
    return Trainer(ADAMW, DataOnly(), mean_energy, ema_decay=0.9, **options)


WAVES = Waves((2,), jnp.ones(3), points(3, (2,)))
CONDITIONED = filled(lambda key: conditional(key, condition_dim=1)).at(np.ones(1, np.float32))
CONFINED = WAVES + Gaussian(np.ones(2), 2.0)
EVERYTHING = Normalised(
    Box(CONFINED - 0.5 * Fixed(CONFINED) + CONDITIONED + GaussianMixture(np.eye(2), 1.0), -9, 8)
)


def arrays(tree):
    leaves = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_inexact_array))[0]
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def changed(before, after):
    before, after = arrays(before), arrays(after)
    return {path for path in before if not np.array_equal(before[path], after[path])}


def three_updates(trainer, energy):
    state = trainer.init(energy, key=KEY)
    for _ in range(3):
        state, metrics = step(trainer, state, X, KEY)
    assert int(metrics["skipped"]) == 0
    return state


@pytest.mark.medium
def test_constants_are_unseen_by_optimiser_weight_decay_average_and_gradient_norm():
    parameters = eqx.filter(EVERYTHING, trainable(EVERYTHING))
    start = trainer().init(EVERYTHING, key=KEY)
    assert arrays(start.opt_state[0].mu).keys() == arrays(parameters).keys()
    _, metrics = step(trainer(), start, X, KEY)
    slopes = eqx.filter_jit(eqx.filter_grad(mean_energy, has_aux=True))(
        EVERYTHING, Examples(X), None
    )[0]
    assert float(jnp.max(jnp.abs(slopes.energy.energy.energies[1].means))) > 0.01
    norm = optax.tree.norm(eqx.filter(slopes, trainable(EVERYTHING)))
    np.testing.assert_allclose(metrics["grad_norm"], norm, rtol=1e-5)
    state = three_updates(trainer(), EVERYTHING)
    assert len(arrays(parameters)) == 12
    for after in (state.energy, state.ema):
        assert changed(EVERYTHING, after) == arrays(parameters).keys()


GAUSSIAN = {".energies[1].location", ".energies[1].whiten"}
CHOICES = {
    "nothing-said": (None, {".energies[0].weights"}),
    "all": (True, {".energies[0].weights", *GAUSSIAN}),
    "frozen-more": (eqx.tree_at(lambda e: e.energies[0], trainable(CONFINED), False), None),
    "the-gaussian": (
        eqx.tree_at(lambda e: e.energies, trainable(CONFINED), (False, True)),
        GAUSSIAN,
    ),
}


@pytest.mark.parametrize(("tree", "moved"), CHOICES.values(), ids=CHOICES)
def test_a_filter_tree_chooses_what_is_trained(tree, moved):
    chosen = trainer(trainable=tree)
    if moved is None:
        with pytest.raises(ValueError, match=r"energy=Product: .*selected by `trainable`"):
            chosen.init(CONFINED, key=KEY)
        return
    state = three_updates(chosen, CONFINED)
    for after in (state.energy, state.ema):
        assert changed(CONFINED, after) == moved


def test_a_filter_tree_of_another_energy_is_refused():
    with pytest.raises(ValueError, match="trainable=Waves: give a filter tree of this energy"):
        trainer(trainable=trainable(WAVES)).init(CONFINED, key=KEY)


def test_an_exact_density_alone_is_trained():
    gaussian = CONFINED.energies[1]
    assert changed(gaussian, three_updates(trainer(), gaussian).energy) == {".location", ".whiten"}


def test_constants_may_be_infinite_and_training_goes_on_where_it_stopped():
    energy = Box(WAVES, np.array([-np.inf, -1e9]), np.inf)
    one = trainer()

    def run(state, num):
        options = {"num_steps": num, "key": KEY, "log_every": 2, "progress": False}
        return fit(one, state, [X] * num, **options)[0]

    start = one.init(energy, key=KEY)
    whole, parts = run(start, 4), run(run(start, 2), 2)
    assert int(whole.skipped) == 0
    assert changed(energy, whole.ema) == {".energy.weights"}
    assert changed((whole.energy, whole.opt_state), (parts.energy, parts.opt_state)) == set()
