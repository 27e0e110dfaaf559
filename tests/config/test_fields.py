"""No field of a config is without effect: another value makes another program."""

import dataclasses
import typing

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_config import CONFIG, put

import ebmx.runs._train
from ebmx.config import NegativesConfig, RunConfig, SamplerConfig
from ebmx.runs import train as train_run

pytestmark = pytest.mark.slow

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
        monkeypatch.setattr(ebmx.runs._train, "fit", catch)
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
    # a layout for which the convolutions of CONFIG are as good
    words["layout"] = "table"
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
