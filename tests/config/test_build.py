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
    OptimiserConfig,
    RunConfig,
    SamplerConfig,
    build_energy,
    build_negatives,
    build_sampler,
    build_trainer,
    train_run,
)
from ebmx.energies import MLP, ConvNet
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
    optimiser=OptimiserConfig(
        learning_rate=0.01, b1=0.5, b2=0.9, clip=1.0, ema_decay=0.9
    ),
    steps=5,
    seed=1,
)
OF_THE_RUN_ITSELF = {"steps", "seconds", "log_every", "out"}
WORDS = {"activation": "tanh"}


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


def flip(config, path, words):
    room, _, rest = path.partition(".")
    value = getattr(config, room)
    if rest:
        return dataclasses.replace(config, **{room: flip(value, rest, words)})
    hint = typing.get_type_hints(type(config))[room]
    return dataclasses.replace(config, **{room: words.get(room) or other(room, value, hint)})


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
        facts = [jax.tree.structure((state.energy, trainer.negatives))]
        network = state.energy.network
        facts += [type(trainer.negatives), trainer.negatives.num_steps, network.activation]
        facts += [getattr(network, "head", None)]
        facts += [c.stride for c in getattr(network, "convolutions", ())]
        parts = (trainer.negatives, trainer.loss, trainer.ema_decay, trainer.data_noise)
        arrays = jax.tree.leaves(eqx.filter((parts, state), eqx.is_array))
        arrays += [batch, jax.random.key_data(key), *_behaviour(trainer.optim)]
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
    without = []
    for path in sorted(set(leaves()) - OF_THE_RUN_ITSELF):
        changed = flip(CONFIG, path, words)
        assert changed != CONFIG, path
        if not differ(start, program(changed)):
            without.append(path)
    assert not without


def test_fields_of_the_run_itself_are_the_rest():
    names = set(leaves())
    assert names >= OF_THE_RUN_ITSELF
    assert {name.split(".")[0] for name in names - OF_THE_RUN_ITSELF} == {
        *("data", "energy", "sampler", "negatives", "optimiser", "seed")
    }


def test_the_sampler_has_the_numbers_of_the_config():
    sampler = build_sampler(CONFIG.sampler)
    assert float(sampler.step_size) == 1.0
    np.testing.assert_allclose(sampler.noise_scale, 0.1)
    assert float(sampler.grad_clip) == 3.0
    assert tuple(map(float, sampler.bounds)) == (-1.0, 1.0)


@pytest.mark.parametrize(("kind", "made"), [("pcd", PCD), ("cd", CD), ("short-run", ShortRun)])
def test_negatives_by_their_kind(kind, made):
    config = dataclasses.replace(CONFIG.negatives, kind=kind)
    negatives = build_negatives(config, dataclasses.replace(CONFIG.sampler, bounds=(-1.0, 3.0)))
    assert type(negatives) is made
    assert negatives.num_steps == 4
    if kind != "cd":
        assert (float(negatives.noise.low), float(negatives.noise.high)) == (-1.0, 3.0)
    if kind == "pcd":
        assert negatives.capacity == 32
        np.testing.assert_allclose(negatives.reinit_prob, 0.1)


def test_the_network_follows_the_shape(getkey):
    images = build_energy(CONFIG.energy, (8, 8, 1), key=getkey())
    points = build_energy(CONFIG.energy, (2,), key=getkey())
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
        ("data.noise", -1.0, "data_noise"),
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
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(path, value, message, tmp_path):
    room, _, name = path.rpartition(".")
    config = dataclasses.replace(CONFIG, out=str(tmp_path / "run"))
    part = dataclasses.replace(getattr(config, room) if room else config, **{name: value})
    config = dataclasses.replace(config, **{room: part}) if room else part
    with pytest.raises(ValueError, match=message):
        train_run(config)
