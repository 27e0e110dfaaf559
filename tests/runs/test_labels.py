"""Runs of conditional and hybrid energies: samples by class."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.config import (
    DataConfig,
    EnergyConfig,
    NegativesConfig,
    ObjectiveConfig,
    RunConfig,
    SamplerConfig,
    build_energy,
    build_sampler,
    build_trainer,
)
from ebmx.energies import JEM
from ebmx.runs import sample as sample_run
from ebmx.runs import train as train_run
from ebmx.runs._sample import draw_samples
from ebmx.training import NoProgress

pytestmark = pytest.mark.slow

CONFIG = RunConfig(
    data=DataConfig(batch_size=16),
    energy=EnergyConfig(hidden_dims=(8,)),
    negatives=NegativesConfig(num_steps=2, capacity=30),
    sampler=SamplerConfig(grad_clip=None),
    objective=ObjectiveConfig(kind="conditional"),
    steps=2,
)
# The logits of two classes.
SIDES = JEM(lambda x: jnp.stack([x[0], -x[0]]), (2,))


def untrained(config, getkey, num_labels=3):
    """The state before the first update, for points in the plane."""
    kind = config.objective.kind
    options = {"objective": kind, "num_labels": num_labels, "key": getkey()}
    made = build_energy(config.energy, (2,), **options)
    return build_trainer(config, 1, num_labels).init(*made, key=getkey())


def of_kind(objective, negatives=CONFIG.negatives):
    kind = ObjectiveConfig(kind=objective)
    return dataclasses.replace(CONFIG, objective=kind, negatives=negatives)


def test_chains_of_a_class_are_those_of_the_buffer(getkey):
    state = untrained(CONFIG, getkey)
    drawn = draw_samples(CONFIG, (2,), state, 7, label=2, key=getkey())
    buffer = state.negatives_state
    own = {tuple(map(float, x)) for x in buffer.positions[buffer.labels == 2]}
    assert {tuple(map(float, x)) for x in drawn.x} <= own
    assert drawn.y.tolist() == [2] * 7
    assert drawn.source == "the persistent chains of the buffer, of class 2"
    alike = draw_samples(CONFIG, (2,), state, 30, key=getkey())
    assert np.bincount(alike.y).tolist() == [10, 10, 10]
    more = draw_samples(CONFIG, (2,), state, 25, label=0, key=getkey())
    assert more.x.shape == (25, 2)
    assert more.y.tolist() == [0] * 25


@pytest.mark.parametrize("objective", ["conditional", "jem"])
def test_chains_of_a_class_from_noise(objective, getkey):
    config = of_kind(objective, NegativesConfig(kind="cd", num_steps=30))
    state = untrained(config, getkey)
    # the first coordinate is high for class 0 and low for class 1
    energy = SIDES if objective == "jem" else SIDES.conditional
    state = dataclasses.replace(state, energy=energy, ema=energy)
    for label, sign in ((0, 1), (1, -1)):
        drawn = draw_samples(config, (2,), state, 40, label=label, key=getkey())
        assert np.mean(np.sign(drawn.x[:, 0]) == sign) > 0.9
        assert drawn.source.endswith(f"from noise on the averaged energy, of class {label}")


def test_denoised_samples_have_gone_down_the_averaged_energy(getkey):
    state, key = untrained(CONFIG, getkey), getkey()
    assert CONFIG.sampler.noise_scale is None or CONFIG.sampler.noise_scale > 0
    plain, quiet = (draw_samples(CONFIG, (2,), state, 6, denoise=n, key=key) for n in (0, 2))
    sampler = dataclasses.replace(build_sampler(CONFIG.sampler), noise_scale=0.0, temperature=1.0)
    x = jnp.asarray(plain.x)
    for _ in range(2):
        gradient = jax.vmap(jax.grad(lambda x, y: state.ema.at(y)(x)))(x, jnp.asarray(plain.y))
        x = sampler.confine(x - 0.5 * sampler.step_size * sampler.clip(gradient))
    np.testing.assert_allclose(quiet.x, x, atol=1e-5)
    assert np.abs(quiet.x - plain.x).max() > 1e-4
    np.testing.assert_array_equal(quiet.y, plain.y)
    assert quiet.source == f"{plain.source}, and 2 steps without noise"


def test_chains_that_are_not_langevin_s_have_no_noise_to_leave_out(getkey):
    config = dataclasses.replace(of_kind("contrastive"), sampler=SamplerConfig("mala"))
    state = untrained(config, getkey, None)
    with pytest.raises(ValueError, match=r"denoise=2: the chains of sampler.kind='mala' have no"):
        draw_samples(config, (2,), state, 4, denoise=2, key=getkey())
    with pytest.raises(ValueError, match=r"denoise=-1"):
        draw_samples(config, (2,), state, 4, denoise=-1, key=getkey())


def test_what_has_no_such_label_is_refused(getkey):
    state = untrained(CONFIG, getkey)
    with pytest.raises(ValueError, match=r"label=3: labels are 0 to 2"):
        draw_samples(CONFIG, (2,), state, 4, label=3, key=getkey())
    plain = of_kind("contrastive")
    state = untrained(plain, getkey, None)
    with pytest.raises(ValueError, match=r"label=0: the energy of this run has no labels"):
        draw_samples(plain, (2,), state, 4, label=0, key=getkey())


def test_weighted_chains_are_drawn_by_their_weights(getkey):
    negatives = NegativesConfig(kind="jarzynski", num_steps=2, capacity=30)
    config = dataclasses.replace(of_kind("contrastive", negatives), sampler=SamplerConfig("mala"))
    state = untrained(config, getkey, None)
    chains = state.negatives_state.training
    weights = jnp.where(jnp.arange(30) == 4, 0.0, -jnp.inf)
    chains = dataclasses.replace(chains, log_weights=weights)
    populations = dataclasses.replace(state.negatives_state, training=chains)
    state = dataclasses.replace(state, negatives_state=populations)
    drawn = draw_samples(config, (2,), state, 5, key=getkey())
    np.testing.assert_array_equal(drawn.x, np.tile(chains.positions[4], (5, 1)))


def test_a_conditional_run_is_sampled_by_class(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.uniform(2, 5, size=(100, 2)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=generator.integers(0, 3, 100))
    data = dataclasses.replace(CONFIG.data, name=str(tmp_path / "x.npz"))
    config = dataclasses.replace(CONFIG, data=data, out=str(tmp_path / "run"))
    report = train_run(config, progress=NoProgress())
    assert report.num_updates == 2
    assert (report.folder / "energies.png").exists()
    samples, _, source = sample_run(report.folder, 6, label=1)
    assert samples.shape == (6, 2)
    assert source.endswith("of class 1")
    again, _, _ = sample_run(report.folder, 6, label=1)
    np.testing.assert_array_equal(samples, again)
