"""No field of a config is without effect: another value makes another program."""

import dataclasses
import typing

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ebmx.config._run
from ebmx.config import (
    DataConfig,
    EnergyConfig,
    NegativesConfig,
    ObjectiveConfig,
    OptimiserConfig,
    RunConfig,
    SamplerConfig,
    build_energy,
    build_negatives,
    build_objective,
    build_optimiser,
    build_sampler,
    build_trainer,
    train_run,
)
from ebmx.energies import MLP, ConvNet, SpectralNorm, freeze
from ebmx.training import CD, PCD, ShortRun

CONFIG = RunConfig(
    data=DataConfig(name="digits", test_share=0.3, batch_size=16, noise=0.1),
    energy=EnergyConfig(
        widths=(3, 4),
        kernel_sizes=(3, 3),
        strides=(2, 1),
        hidden_dims=(5,),
        activation="silu",
        head="flatten",
    ),
    sampler=SamplerConfig(step_size=1.0, noise_scale=0.1, grad_clip=3.0, bounds=(-1.0, 1.0)),
    negatives=NegativesConfig(kind="pcd", num_steps=4, capacity=32, reinit_prob=0.1),
    objective=ObjectiveConfig(alpha=0.2),
    optimiser=OptimiserConfig(learning_rate=0.01, b1=0.5, b2=0.9, clip=1.0, ema_decay=0.9),
    steps=5,
    seed=1,
)
OF_THE_RUN_ITSELF = {"steps", "seconds", "log_every", "out"}
WORDS = {"activation": "tanh", "paddings": (0, 1), "compute_dtype": "bfloat16"}
# What the kinds of CONFIG do not read, and changes after which it is read.
READ_BY_OTHERS = {
    "energy.blocks_per_stage": {"energy.kind": "resnet", "energy.hidden_dims": (64,)},
    "energy.norm": {"energy.kind": "resnet", "energy.hidden_dims": (64,)},
    "sampler.temperature": {"sampler.noise_scale": None},
    "sampler.friction": {"sampler.kind": "underdamped"},
    "sampler.num_integration_steps": {
        **{"sampler.kind": "hmc", "sampler.noise_scale": None, "sampler.grad_clip": None}
    },
    "negatives.resample_below": {
        **{"sampler.kind": "mala", "sampler.noise_scale": None, "sampler.grad_clip": None},
        **{"negatives.kind": "jarzynski", "negatives.reinit_prob": 0.05},
    },
    "negatives.num_held_out": {
        **{"sampler.kind": "mala", "sampler.noise_scale": None, "sampler.grad_clip": None},
        **{"negatives.kind": "jarzynski", "negatives.reinit_prob": 0.05},
    },
    "objective.divergence_weight": {"objective.kind": "improved"},
    "objective.entropy_weight": {"objective.kind": "improved"},
    "objective.classifier_weight": {"objective.kind": "jem"},
    "objective.sigma": {
        **{"objective.kind": "denoising", "objective.alpha": 0.05},
        **{"negatives.capacity": 4096, "negatives.reinit_prob": 0.05},
    },
    "objective.ratio": {
        **{"objective.kind": "noise-contrastive", "objective.alpha": 0.05},
        **{"negatives.capacity": 4096, "negatives.reinit_prob": 0.05},
    },
}


def leaves(kind=RunConfig, prefix=""):
    """The dotted names of all fields that are no config themselves."""
    for name, hint in typing.get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            yield from leaves(hint, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def other(name, value, hint):
    """Another value of the same type."""
    if typing.get_origin(hint) is typing.Literal:
        return next(choice for choice in typing.get_args(hint) if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return tuple(other(name, v, type(v)) for v in value)
    if isinstance(value, int):
        return value + 1
    return value * 0.75 if isinstance(value, float) else WORDS[name]


def put(config, path, value):
    """The config with another value of the field of this dotted name."""
    room, _, name = path.rpartition(".")
    if not room:
        return dataclasses.replace(config, **{name: value})
    return dataclasses.replace(
        config, **{room: dataclasses.replace(getattr(config, room), **{name: value})}
    )


def flip(config, path, words):
    """The config with another value of the same type."""
    room, _, name = path.rpartition(".")
    part = getattr(config, room) if room else config
    hint = typing.get_type_hints(type(part))[name]
    return put(config, path, words.get(name) or other(name, getattr(part, name), hint))


class _Caught(Exception):
    pass


@pytest.fixture
def program(monkeypatch, tmp_path):
    """What `train_run` would run, as a list of arrays and facts, instead of running it."""

    def catch(trainer, state, batches, *, num_steps, key, **options):
        raise _Caught(trainer, state, next(iter(batches)), key)

    def found(config):
        config = dataclasses.replace(config, out=str(tmp_path / "run"))
        monkeypatch.setattr(ebmx.config._run, "fit", catch)
        with pytest.raises(_Caught) as caught:
            train_run(config)
        trainer, state, batch, key = caught.value.args
        facts = [jax.tree.structure((state.energy, trainer.negatives, trainer.loss))]
        parts = (trainer.negatives, trainer.loss, trainer.ema_decay, trainer.data_noise)
        arrays = jax.tree.leaves(eqx.filter((parts, state), eqx.is_array))
        arrays += [*jax.tree.leaves(batch), jax.random.key_data(key), *_behaviour(trainer.optim)]
        return facts, [np.asarray(array) for array in arrays]

    return found


def _behaviour(optim):
    """The updates for a small gradient, a large one and a small one again."""
    parameters = jnp.array([1.0, -2.0])
    state = optim.init(parameters)
    for gradient in ([0.05, 0.02], [30.0, -40.0], [0.2, 0.1]):
        update, state = optim.update(jnp.array(gradient), state, parameters)
        yield np.asarray(update)


def differ(one, two):
    facts, arrays = zip(one, two, strict=True)
    if facts[0] != facts[1] or len(arrays[0]) != len(arrays[1]):
        return True
    return not all(
        a.shape == b.shape and np.array_equal(a, b) for a, b in zip(*arrays, strict=True)
    )


def test_every_field_has_an_effect(program, tmp_path):
    images = np.random.default_rng(0).uniform(size=(40, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "other.npz", images=images)
    words = WORDS | {"name": str(tmp_path / "other.npz")}
    start = program(CONFIG)
    assert not differ(start, program(CONFIG)), "the same config must make the same program"
    without, refused = [], set()
    for path in sorted(set(leaves()) - OF_THE_RUN_ITSELF):
        changed = flip(CONFIG, path, words)
        assert changed != CONFIG, path
        if path.endswith(".kind"):
            continue  # see below
        try:
            found = program(changed)
        except ValueError as error:
            assert path.rpartition(".")[2] in str(error)  # noqa: PT017
            refused.add(path)
        else:
            without += [] if differ(start, found) else [path]
    assert not without
    assert refused == set(READ_BY_OTHERS)


@pytest.mark.parametrize("path", sorted(READ_BY_OTHERS))
def test_what_is_refused_has_an_effect_elsewhere(path, program):
    config = CONFIG
    for where, value in READ_BY_OTHERS[path].items():
        config = put(config, where, value)
    assert differ(program(config), program(flip(config, path, WORDS)))


@pytest.mark.parametrize("room", ["energy", "sampler", "negatives", "objective", "optimiser"])
def test_every_kind_is_another_program(room, program):
    config = put(CONFIG, room, type(getattr(CONFIG, room))())
    config = put(config, "negatives", NegativesConfig(num_steps=4))
    start = program(config)
    for kind in typing.get_args(typing.get_type_hints(type(getattr(config, room)))["kind"]):
        changed = put(config, f"{room}.kind", kind)
        if kind == "jarzynski":
            changed = put(changed, "sampler", SamplerConfig(kind="mala"))
        same = kind in ("convnet", getattr(config, room).kind)  # what "auto" is for images
        assert differ(start, program(changed)) is not same, kind


def test_fields_of_the_run_itself_are_the_rest():
    names = set(leaves())
    assert names >= OF_THE_RUN_ITSELF
    assert {name.split(".")[0] for name in names - OF_THE_RUN_ITSELF} == {
        *("data", "energy", "sampler", "negatives", "objective", "optimiser", "seed")
    }


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


def test_the_network_follows_the_shape(getkey):
    images, _ = build_energy(CONFIG.energy, (8, 8, 1), key=getkey())
    points, _ = build_energy(CONFIG.energy, (2,), key=getkey())
    assert isinstance(images, ConvNet)
    assert [c.weight.shape[-1] for c in images.network.convolutions] == [3, 4]
    assert isinstance(points, MLP)
    assert [layer.weight.shape for layer in points.network.layers] == [(5, 2), (1, 5)]


def test_the_learning_rate_decays_to_nothing():
    optim = build_trainer(CONFIG, 10).optim
    parameters = jnp.array([1.0])
    state, updates = optim.init(parameters), []
    for _ in range(11):
        update, state = optim.update(jnp.array([0.5]), state, parameters)
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
def test_energies_with_labels(objective, kind, getkey):
    config = EnergyConfig(kind=kind) if kind == "mlp" else EnergyConfig(kind=kind, widths=(3, 4))
    options = {"objective": objective, "num_labels": 7, "key": getkey()}
    energy, state = build_energy(config, (8, 8, 1), **options)
    assert state is None
    assert energy.num_labels == 7
    width = {"convnet": 64, "mlp": 64, "resnet": 4}[kind]
    assert energy.network.out_size == (7 if objective == "jem" else width)
    assert jnp.shape(energy.at(3)(jnp.zeros((8, 8, 1)))) == ()


@pytest.mark.parametrize("kind", ["convnet", "mlp"])
def test_any_network_takes_spectral_norm_and_a_scale(kind, getkey):
    key = getkey()
    energy, state = build_energy(EnergyConfig(kind, norm="spectral", scale=3.0), (8, 8, 1), key=key)
    once, same = build_energy(EnergyConfig(kind, norm="spectral"), (8, 8, 1), key=key)
    x = jnp.ones((8, 8, 1))
    np.testing.assert_allclose(freeze(energy, state)(x), 3 * freeze(once, same)(x), rtol=1e-5)
    assert isinstance(energy, SpectralNorm)


def test_a_learning_rate_that_rises_first():
    config = OptimiserConfig(kind="sgd", learning_rate=1.0, warmup_steps=4, clip=None)
    optim, parameters = build_optimiser(config, 8), jnp.array([1.0])
    state, rates = optim.init(parameters), []
    for _ in range(9):
        update, state = optim.update(jnp.array([1.0]), state, parameters)
        rates.append(-float(update[0]))
    np.testing.assert_allclose(rates[:5], [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-5)
    assert np.all(np.diff(rates[4:]) < 0)
    np.testing.assert_allclose(rates[8], 0, atol=1e-6)
    constant = dataclasses.replace(config, schedule="constant", warmup_steps=0)
    update, _ = build_optimiser(constant, 8).update(jnp.array([1.0]), state)
    assert float(update[0]) == -1.0
