"""What a config builds, and what it refuses."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import filled
from small_config import CONFIG, put

from ebmx.config import (
    EnergyConfig,
    NegativesConfig,
    ObjectiveConfig,
    OptimiserConfig,
    SamplerConfig,
    build_energy,
    build_negatives,
    build_objective,
    build_optimiser,
    build_sampler,
    build_trainer,
)
from ebmx.energies import MLP, ConvNet, SpectralNorm, freeze
from ebmx.runs import train as train_run
from ebmx.training import CD, PCD, ShortRun


def test_the_sampler_has_the_numbers_of_the_config():
    sampler = build_sampler(CONFIG.sampler)
    assert float(sampler.step_size) == 1.0
    np.testing.assert_allclose(sampler.noise_scale, 0.1)
    assert float(sampler.grad_clip) == 3.0
    assert tuple(map(float, sampler.bounds)) == (-1.0, 1.0)


@pytest.mark.parametrize(("kind", "made"), [("pcd", PCD), ("cd", CD), ("short-run", ShortRun)])
def test_negatives_by_their_kind(kind, made):
    config = CONFIG.negatives if kind == "pcd" else NegativesConfig(kind=kind, num_steps=4)
    negatives = build_negatives(config, dataclasses.replace(CONFIG.sampler, bounds=(-1.0, 3.0)))
    assert type(negatives) is made
    assert negatives.num_steps == 4
    if kind != "cd":
        assert (float(negatives.noise.low), float(negatives.noise.high)) == (-1.0, 3.0)
    if kind == "pcd":
        assert negatives.capacity == 32
        np.testing.assert_allclose(negatives.reinit_prob, 0.1)


def test_the_network_follows_the_shape():
    images, _ = filled(lambda key: build_energy(CONFIG.energy, (8, 8, 1), key=key))
    points, _ = filled(lambda key: build_energy(CONFIG.energy, (2,), key=key))
    assert isinstance(images, ConvNet)
    assert [c.weight.shape[-1] for c in images.network.convolutions] == [3, 4]
    assert isinstance(points, MLP)
    assert [layer.weight.shape for layer in points.network.layers] == [(5, 2), (1, 5)]


def test_the_learning_rate_decays_to_nothing():
    optim = build_trainer(CONFIG, 10).optim
    parameters = jnp.array([1.0])
    state, updates, step = optim.init(parameters), [], jax.jit(optim.update)
    for _ in range(11):
        update, state = step(jnp.array([0.5]), state, parameters)
        updates.append(float(update[0]))
    np.testing.assert_allclose(updates[0], -0.01, rtol=1e-3)
    assert np.all(np.diff(np.abs(updates)) < 0)
    np.testing.assert_allclose(updates[10], 0, atol=1e-7)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("data.name", "no-such-data", "name='no-such-data'"),
        ("data.test_share", 1.5, "test_share"),
        ("data.batch_size", 10**6, "batch_size"),
        ("data.noise", -1.0, r"data\.noise"),
        ("energy.widths", (0,), "widths"),
        ("energy.kernel_sizes", (3,), "kernel_sizes"),
        ("energy.activation", "sillu", "activation"),
        ("sampler.step_size", 0.0, "step_size"),
        ("sampler.bounds", (1.0, -1.0), "bounds|high"),
        ("negatives.num_steps", 0, "num_steps"),
        ("negatives.reinit_prob", 2.0, "reinit_prob"),
        ("sampler.grad_clip", 0.1, "cannot cross the range"),
        ("optimiser.ema_decay", 1.5, "ema_decay"),
        ("steps", 0, "steps"),
        ("energy.kind", "transformer", "energy.kind"),
        ("energy.norm", "group", "energy.norm=group"),
        ("energy.scale", 0.0, "energy.scale"),
        ("energy.compute_dtype", "int8", "compute_dtype"),
        ("sampler.friction", 2.0, "sampler.friction=2.0.*'langevin' does not read it"),
        ("sampler.temperature", 2.0, "temperature=2.0"),
        ("negatives.num_held_out", 3, "negatives.num_held_out=3.*'pcd' does not read it"),
        ("negatives.restart", "never", "restart"),
        ("objective.alpha", -1.0, "objective.alpha"),
        ("objective.sigma", 0.1, "objective.sigma=0.1.*'contrastive' does not read it"),
        ("optimiser.learning_rate", 0.0, "optimiser.learning_rate"),
        ("optimiser.clip", 0.0, "optimiser.clip"),
        ("optimiser.warmup_steps", -1, "optimiser.warmup_steps"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(path, value, message, tmp_path):
    config = put(dataclasses.replace(CONFIG, out=str(tmp_path / "run")), path, value)
    with pytest.raises(ValueError, match=message):
        train_run(config)


def test_parts_that_do_not_fit_together_are_refused_by_name(getkey):
    contrastive, labelled = ObjectiveConfig(), ObjectiveConfig(kind="conditional", alpha=0.05)
    langevin, mala = SamplerConfig(), SamplerConfig(kind="mala")
    refused = [
        ("sampler.kind=langevin.*mala or hmc", NegativesConfig("jarzynski"), langevin, contrastive),
        ("jarzynski carries no labels", NegativesConfig("jarzynski"), mala, labelled),
        (
            "UInt8.*bounds",
            NegativesConfig(storage="uint8"),
            SamplerConfig(bounds=None),
            contrastive,
        ),
        ("UInt8.*bounds", NegativesConfig(storage="uint8"), mala, contrastive),
        ("negatives.restart=age", NegativesConfig("cd", restart="age"), langevin, contrastive),
        (
            "negatives.kind=cd.*no chains",
            NegativesConfig("cd"),
            langevin,
            ObjectiveConfig("sliced"),
        ),
        (
            "sampler.noise_scale=0.3",
            NegativesConfig(),
            SamplerConfig("mala", noise_scale=0.3),
            None,
        ),
    ]
    for message, negatives, sampler, objective in refused:
        with pytest.raises(ValueError, match=message):
            build_negatives(negatives, sampler, objective, 10)
    with pytest.raises(ValueError, match=r"sampler.kind=hmc.*langevin or mala"):
        build_objective(ObjectiveConfig("improved"), SamplerConfig("hmc", noise_scale=None))
    for config, message in [
        (EnergyConfig(norm="spectral"), "energy.norm=spectral.*'jem'"),
        (EnergyConfig(scale=2.0), "energy.scale=2.0.*'jem'"),
        (EnergyConfig(kind="resnet", norm="batch"), "energy.norm=batch.*'jem'"),
    ]:
        with pytest.raises(ValueError, match=message):
            build_energy(config, (8, 8, 1), objective="jem", num_labels=10, key=getkey())
    with pytest.raises(ValueError, match=r"num_labels=None.*'jem' needs data with labels"):
        build_energy(EnergyConfig(), (8, 8, 1), objective="jem", key=getkey())
    options = {"objective": "conditional", "num_labels": 3, "key": getkey()}
    with pytest.raises(ValueError, match=r"hidden_dims=\(\)"):
        build_energy(EnergyConfig(hidden_dims=()), (2,), **options)


def test_data_without_labels_are_refused_where_labels_are_needed(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).uniform(size=(40, 2)))
    config = put(CONFIG, "data.name", str(tmp_path / "x.npz"))
    config = put(config, "objective.kind", "jem")
    config = dataclasses.replace(config, out=str(tmp_path / "run"))
    with pytest.raises(ValueError, match=r"objective.kind=jem: needs labels, and .* has none"):
        train_run(config)


@pytest.mark.parametrize("objective", ["jem", "conditional"])
@pytest.mark.parametrize("kind", ["convnet", "mlp", "resnet"])
def test_energies_with_labels(objective, kind):
    config = EnergyConfig(kind=kind) if kind == "mlp" else EnergyConfig(kind=kind, widths=(3, 4))
    options = {"objective": objective, "num_labels": 7}
    energy, state = filled(lambda key: build_energy(config, (8, 8, 1), **options, key=key))
    assert state is None
    assert energy.num_labels == 7
    width = {"convnet": 64, "mlp": 64, "resnet": 4}[kind]
    assert energy.network.out_size == (7 if objective == "jem" else width)
    out = eqx.filter_eval_shape(lambda energy, x: energy.at(3)(x), energy, jnp.zeros((8, 8, 1)))
    assert out.shape == ()


@pytest.mark.parametrize(
    "config",
    [
        EnergyConfig("convnet", widths=(3, 4), hidden_dims=(4,)),
        EnergyConfig("mlp", hidden_dims=(4,)),
    ],
    ids=["convnet", "mlp"],
)
def test_any_network_takes_spectral_norm_and_a_scale(config, getkey):
    @jax.jit
    def values(key, x):
        found = []
        for scale in (1.0, 3.0):
            scaled = dataclasses.replace(config, norm="spectral", scale=scale)
            energy, state = build_energy(scaled, (8, 8, 1), key=key)
            assert isinstance(energy, SpectralNorm)
            found.append(freeze(energy, state)(x))
        return found

    one, scaled = values(getkey(), jnp.ones((8, 8, 1)))
    assert one != 0
    np.testing.assert_allclose(scaled, 3 * one, rtol=1e-5)


def test_a_learning_rate_that_rises_first():
    config = OptimiserConfig(kind="sgd", learning_rate=1.0, warmup_steps=4, clip=None)
    optim, parameters = build_optimiser(config, 8), jnp.array([1.0])
    state, rates, step = optim.init(parameters), [], jax.jit(optim.update)
    for _ in range(9):
        update, state = step(jnp.array([1.0]), state, parameters)
        rates.append(-float(update[0]))
    np.testing.assert_allclose(rates[:5], [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-5)
    assert np.all(np.diff(rates[4:]) < 0)
    np.testing.assert_allclose(rates[8], 0, atol=1e-6)
    constant = dataclasses.replace(config, schedule="constant", warmup_steps=0)
    update, _ = build_optimiser(constant, 8).update(jnp.array([1.0]), state)
    assert float(update[0]) == -1.0
