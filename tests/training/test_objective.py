"""Further objectives: their losses are added, each with its own negatives, data and level."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from noise_levels import LEVELS, data, noisy_mixture
from steps import same, step

from ebmx.energies import MLP, Gaussian, NoiseConditional
from ebmx.samplers import MALA, Langevin
from ebmx.training import (
    CD,
    PCD,
    Checkpoints,
    DataOnly,
    Examples,
    NoiseSamples,
    Objective,
    PerturbedLevels,
    Trainer,
    UniformNoise,
    WeightedSum,
    contrastive_loss,
    fit,
    noise_level_loss,
    restore,
    score_matching_loss,
)

KEY = jax.random.key(1)
SGD = optax.sgd(0.1)
NETWORK = MLP((2,), (4,), key=KEY)
BATCH = np.asarray(points(8, (2,)))
PERSISTENT = PCD(MALA(0.05), 2, 16, restarts_at_data=1.0)
CLASSES = NoiseConditional(
    MLP((2,), (4,), condition_size=3, key=KEY), LEVELS, num_classes=3, key=KEY
)


def after_one_step(trainer, energy=NETWORK, batch=BATCH):
    return step(trainer, trainer.init(energy, key=KEY), batch, KEY)


@pytest.mark.medium
def test_the_losses_are_added_with_their_weights():
    further = [Objective(DataOnly(), score_matching_loss, weight=2.0, name="more")]
    trainer = Trainer(SGD, DataOnly(), score_matching_loss, objectives=further)
    state, metrics = after_one_step(trainer)
    whole = WeightedSum((score_matching_loss, score_matching_loss), (1.0, 2.0))
    expected, of_sum = after_one_step(Trainer(SGD, DataOnly(), whole))
    for a, b in zip(jax.tree.leaves(state.energy), jax.tree.leaves(expected.energy), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(metrics["loss"], of_sum["loss"], rtol=1e-5)
    np.testing.assert_allclose(metrics["more_loss"] * 3, metrics["loss"], rtol=1e-5)


@pytest.mark.medium
def test_without_weight_it_leaves_the_training_as_it_is():
    own = Trainer(SGD, PCD(MALA(0.05), 2, 16))
    further = Objective(CD(MALA(0.05), 2), weight=0.0, name="cd")
    both = Trainer(SGD, PCD(MALA(0.05), 2, 16), objectives=[further])
    (one, _), (other, metrics) = after_one_step(own), after_one_step(both)
    assert same(one.energy, other.energy)
    assert same(one.negatives_state, other.negatives_state)
    assert {"acceptance", "cd_acceptance", "cd_loss"} <= set(metrics)


@pytest.mark.medium
def test_chains_of_each_objective_go_on_by_themselves():
    further = [
        Objective(PCD(MALA(0.05), 2, 16, 0.0), name="small"),
        Objective(PCD(MALA(0.05), 2, 32, 0.0), name="large"),
    ]
    trainer = Trainer(SGD, DataOnly(), score_matching_loss, objectives=further)
    state, _ = after_one_step(trainer)
    small, large = state.objective_states
    assert (len(small.ages), len(large.ages)) == (16, 32)
    for buffer in (small, large):
        assert int(jnp.sum(buffer.ages > 0)) == len(BATCH)
    assert not np.allclose(np.sort(small.positions[small.ages > 0], 0), BATCH)
    later, _ = step(trainer, state, BATCH, KEY)
    assert int(jnp.sum(later.objective_states[1].ages)) == 2 * len(BATCH)


@pytest.mark.medium
def test_the_data_have_the_noise_of_the_level_and_the_energy_is_that_of_it(getkey):
    energy, x = noisy_mixture(), data(20_000, getkey())
    frozen = Langevin(1e-12, noise_scale=0.0)
    sigma, weight = 1.5, 0.5
    objective = Objective(CD(frozen, 1), weight=weight, sigma=sigma)
    drawn, _ = jax.jit(lambda key: objective.draw(energy, Examples(x), None, key=key))(getkey())
    noise = np.asarray(drawn.positives.x - x)
    np.testing.assert_allclose(noise.mean(0), 0.0, atol=4 * sigma / np.sqrt(len(x)))
    np.testing.assert_allclose(noise.std(0), sigma, rtol=4 / np.sqrt(2 * len(x)))
    # chains of contrastive divergence start at the noisy data
    np.testing.assert_allclose(drawn.negatives.x, drawn.positives.x, atol=1e-5)
    elsewhere = Examples(drawn.negatives.x + 1.0)
    drawn = eqx.tree_at(lambda d: d.negatives, drawn, elsewhere)
    value, metrics = objective.value(energy, drawn)
    of_level = jax.vmap(lambda x: energy(x, jnp.asarray(sigma)))
    difference = jnp.mean(of_level(drawn.positives.x)) - jnp.mean(of_level(elsewhere.x))
    np.testing.assert_allclose(value, weight * difference, rtol=1e-4)
    np.testing.assert_allclose(metrics["contrastive_loss"], difference, rtol=1e-4)


def test_an_energy_of_one_density_sees_noisy_data_too(getkey):
    objective = Objective(DataOnly(), score_matching_loss, sigma=2.0)
    drawn, _ = objective.draw(NETWORK, Examples(jnp.zeros((5000, 2))), None, key=getkey())
    np.testing.assert_allclose(jnp.std(drawn.positives.x), 2.0, rtol=0.05)


def test_it_sees_as_many_examples_as_it_is_told(getkey):
    objective = Objective(DataOnly(), score_matching_loss, num_examples=3)
    batch = Examples(jnp.asarray(BATCH), jnp.arange(8), jnp.arange(8.0))
    drawn, _ = objective.draw(NETWORK, batch, None, key=getkey())
    assert same(drawn.positives, Examples(batch.x[:3], batch.y[:3], batch.log_weights[:3]))
    objective = Objective(DataOnly(), score_matching_loss, num_examples=9)
    with pytest.raises(ValueError, match="num_examples=9: give at most the batch size, 8"):
        objective.draw(NETWORK, batch, None, key=getkey())


@pytest.mark.medium
def test_an_energy_with_classes_is_taken_for_all_of_them(getkey):
    objective = Objective(PERSISTENT, sigma=0.5)
    state = PERSISTENT.init((2,), key=getkey())
    batch = Examples(jnp.asarray(BATCH), jnp.arange(8) % 3)
    drawn, _ = objective.draw(CLASSES, batch, state, key=getkey())
    value, _ = objective.value(CLASSES, drawn)
    of_all = CLASSES.at_label(None).at(0.5)
    expected = jnp.mean(jax.vmap(of_all)(drawn.positives.x))
    expected = expected - jnp.mean(jax.vmap(of_all)(drawn.negatives.x))
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.medium
def test_chains_at_the_lowest_level_take_away_mass_that_scores_do_not_see(getkey):
    """Two modes far apart: the part of each is what chains of the whole density tell.

    The chains of this test are exact samples of the model, whose two modes have the parts `1/(1 +
    exp(-a))` and the rest: the score of either mode is right for any `a`, and the gradient of the
    contrastive loss is the difference of the parts.
    """

    class TwoModes(eqx.Module):
        a: jax.Array
        shape: tuple[int, ...] = eqx.field(static=True, default=(1,))

        def __call__(self, x):
            logits = jax.nn.log_sigmoid(jnp.stack([self.a, -self.a]))
            return -jax.nn.logsumexp(logits - 0.5 * (x[0] - jnp.array([-8.0, 8.0])) ** 2)

    class Exact(PCD):
        def step(self, energy, positives, state, *, key):
            keys = jax.random.split(key)
            num = len(positives.x)
            first = jax.random.uniform(keys[0], (num,)) < jax.nn.sigmoid(energy.a)
            x = jnp.where(first, -8.0, 8.0) + jax.random.normal(keys[1], (num,))
            return Examples(x[:, None]), state, None

    part = 0.8
    where = jnp.where(jnp.arange(1000) < part * 1000, -8.0, 8.0)[:, None]
    x = where + jax.random.normal(getkey(), where.shape)
    optim = optax.sgd(optax.cosine_decay_schedule(3.0, 200))
    objective = Objective(Exact(MALA(0.1), 1, 16))
    results = {}
    for name, objectives in {"scores": [], "both": [objective]}.items():
        trainer = Trainer(optim, DataOnly(), score_matching_loss, objectives=objectives)
        state = trainer.init(TwoModes(jnp.asarray(0.0)), key=KEY)
        for _ in range(200):
            state, _ = step(trainer, state, x, KEY)
        results[name] = float(jax.nn.sigmoid(state.energy.a))
    np.testing.assert_allclose(results["scores"], 0.5, atol=0.05)
    np.testing.assert_allclose(results["both"], part, atol=0.02)


@pytest.mark.medium
def test_a_training_goes_on_from_a_checkpoint_bit_for_bit(tmp_path):
    further = [Objective(PERSISTENT, weight=0.3, sigma=0.2, num_examples=4)]
    network = MLP((2,), (4,), condition_size=3, key=KEY)
    energy = NoiseConditional(network, LEVELS, covariance=np.eye(2), key=KEY)
    trainer = Trainer(optax.adam(0.01), PerturbedLevels(), noise_level_loss, objectives=further)
    options = {"key": KEY, "progress": False}

    def go_on(state, num_steps, **more):
        return fit(trainer, state, [BATCH] * num_steps, num_steps=num_steps, **options, **more)[0]

    whole = go_on(trainer.init(energy, key=KEY), 6)
    half = go_on(trainer.init(energy, key=KEY), 3, checkpoints=Checkpoints(tmp_path / "run"))
    loaded = restore(tmp_path / "run", trainer.init(energy, key=jax.random.key(7)))
    assert same(loaded, half)
    assert same(go_on(loaded, 3), whole)


def test_metrics_of_one_name_are_an_error():
    twice = [Objective(CD(MALA(0.1))), Objective(CD(MALA(0.1)))]
    trainer = Trainer(SGD, DataOnly(), score_matching_loss, objectives=twice)
    with pytest.raises(ValueError, match=r"objectives=.*report acceptance, .*give one of them a"):
        after_one_step(trainer)
    names = [Objective(CD(MALA(0.1)), name=name) for name in "ab"]
    _, metrics = after_one_step(Trainer(SGD, DataOnly(), score_matching_loss, objectives=names))
    assert {"a_loss", "b_loss", "a_restarts", "b_restarts"} <= set(metrics)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Objective(CD(MALA(0.1)), sigma=0.0), "sigma=0.0"),
        (lambda: Objective(CD(MALA(0.1)), weight=np.inf), "weight=inf"),
        (lambda: Objective(CD(MALA(0.1)), num_examples=0), "num_examples=0"),
        (lambda: Objective(CD(MALA(0.1)), noise_level_loss), "negatives=CD: noise_level_loss is"),
        (
            lambda: Trainer(SGD, CD(MALA(0.1)), objectives=[CD(MALA(0.1))]),
            r"=\[CD.*each an Obj",
        ),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_negatives_have_to_be_examples(getkey):
    class Bare(NoiseSamples):
        def step(self, energy, positives, state, *, key):
            return positives.x, state, None

    objective = Objective(Bare(UniformNoise(-1.0, 1.0)), contrastive_loss)
    with pytest.raises(ValueError, match=r"negatives=.*: a step of negatives returns Examples"):
        objective.draw(Gaussian(jnp.zeros(2), 1.0), Examples(jnp.zeros((4, 2))), None, key=getkey())


@pytest.mark.medium
def test_no_objective_has_a_key_that_the_negatives_make_of_theirs():
    """Keys are split, and in JAX `split(key)[i]` is `fold_in(key, i)`."""
    met = []

    class Spy(DataOnly):
        def init(self, shape, *, key):
            met.append(key)

        def step(self, energy, positives, state, *, key):
            met.append(key)
            return positives, state, None

    loss = score_matching_loss
    further = [Objective(Spy(), loss, name=name) for name in "ab"]
    trainer = Trainer(SGD, Spy(), loss, objectives=further)
    with jax.disable_jit():
        trainer.step(trainer.init(NETWORK, key=KEY), BATCH, key=jax.random.key(2))
    assert len(met) == 6
    own = [jax.random.key_data(key) for key in met]
    made = [jax.random.key_data(jax.random.split(key, 64)) for key in met]
    every = np.concatenate([np.stack(own), *made])
    assert len(np.unique(every, axis=0)) == len(every)
