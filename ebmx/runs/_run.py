"""A run: the objects that a config names, made once and checked."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _checks
from .._types import EnergyFn
from ..config._calls import PARTS, build, check_arguments
from ..config._tables import Config, check_keys
from ..data import Dataset, batches, load
from ..energies import (
    JEM,
    AbstractConditionalEnergy,
    AbstractNoiseConditionalEnergy,
    Marginal,
    freeze,
)
from ..samplers import AbstractSampler
from ..samplers._base import check_restartable
from ..training import (
    AbstractNegatives,
    AbstractNoise,
    ShortRun,
    SplitNegatives,
    Trainer,
    TrainState,
    UniformNoise,
)
from ._facts import Facts
from ._optimiser import optimiser

DEFAULT_SECONDS = 60.0
_GUESS = 10_000
_FRACTION = 0.1


@dataclasses.dataclass(frozen=True)
class Run:
    """What a config says, as objects: for training, sampling and the report."""

    config: Config
    facts: Facts  # what is known of the data, without which nothing can be sampled
    energy: Any  # the energy before training
    norm_state: eqx.nn.State | None
    sampler: AbstractSampler  # the chains of the training, and of samples
    trainer: Trainer
    num_steps: int | None  # how many updates, unless the time decides
    dataset: Dataset | None = None  # the data; `None` for a run that was opened without

    @property
    def seed(self) -> int:
        return self.config.get("seed", 0)

    @property
    def seconds(self) -> float:
        """How long to train if no number of updates is given."""
        return float(self.config.get("seconds", DEFAULT_SECONDS))

    @property
    def noise(self) -> AbstractNoise:
        """Where chains start that do not start from data."""
        owner = (
            self.trainer.negatives if hasattr(self.trainer.negatives, "noise") else self._short_run
        )
        return getattr(owner, "noise", None) or UniformNoise()

    def starts(self, num: int, *, key: jax.Array) -> jax.Array:
        """Where that many chains start that do not start from data, `(num, *shape)`."""
        return starts(self.noise, self.facts.shape, num, key=key)

    @property
    def num_chain_steps(self) -> int | None:
        """How many steps a chain of the training takes in an update; `None` without chains.

        Where the negatives have none of their own, those of chains from noise count, which may be a
        part of them or of a further objective.
        """
        own = getattr(self.trainer.negatives, "num_steps", None)
        return self._short_run.num_steps if own is None and self._short_run else own

    @property
    def _short_run(self) -> ShortRun | None:
        """The first chains from noise of any objective on the data as they are.

        They may stand beside other sources.
        """
        further = (one.negatives for one in self.trainer.objectives if one.sigma is None)
        sources = [self.trainer.negatives, *further]
        while sources:
            first = sources.pop(0)
            if isinstance(first, ShortRun):
                return first
            if isinstance(first, SplitNegatives):
                sources = [*first.sources, *sources]
        return None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The bounds of the sampler, where they are two numbers."""
        bounds = self.sampler.bounds
        if bounds is None or any(end is None or np.ndim(end) > 0 for end in bounds):
            return None
        return float(bounds[0]), float(bounds[1])

    @property
    def keys(self) -> tuple[jax.Array, jax.Array]:
        """The keys of the chains' start and of the training."""
        _, chains_key, fit_key = jax.random.split(jax.random.key(self.seed), 3)
        return chains_key, fit_key

    def init(self) -> TrainState:
        """The state before the first update."""
        return self.trainer.init(self.energy, self.norm_state, key=self.keys[0])

    def batches(self, *, start: int = 0) -> Iterator[Any]:
        """Batches `x`, or `(x, labels)` for an energy with labels, from number `start` on."""
        assert self.dataset is not None
        key = jax.random.fold_in(jax.random.key(self.seed), 1)
        labels = None
        if has_labels(self.energy) and self.dataset.train_labels is not None:
            labels = self.dataset.train_labels.astype(np.int32)
        size, x = self.config["data"].get("batch_size", 128), self.dataset.train
        if "monitor" in self.config:
            rest, _ = self._parts
            x, labels = x[rest], None if labels is None else labels[rest]
        return batches(x, size, labels=labels, start=start, key=key)

    def validation(self) -> Dataset:
        """The training data alone, with the part that `[monitor]` sets aside as test data."""
        assert self.dataset is not None
        (rest, held_out), data = self._parts, self.dataset
        labels = data.train_labels
        return dataclasses.replace(
            data,
            train=data.train[rest],
            test=data.train[held_out],
            train_labels=None if labels is None else labels[rest],
            test_labels=None if labels is None else labels[held_out],
        )

    @property
    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the training examples that are trained on, and of those set aside."""
        assert self.dataset is not None
        num = len(self.dataset.train)
        held_out = round(num * self.config["monitor"].get("fraction", _FRACTION))
        order = np.random.default_rng((self.seed, 4)).permutation(num)
        return np.sort(order[held_out:]), np.sort(order[:held_out])


def starts(noise: AbstractNoise, shape: tuple[int, ...], num: int, *, key: jax.Array) -> jax.Array:
    """That many examples of a noise, `(num, *shape)`."""
    return jax.vmap(lambda key: noise.sample(shape, key=key))(jax.random.split(key, num))


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether examples of this shape can be shown as pictures."""
    return len(shape) == 3 and shape[-1] in (1, 3)


def averaged(state: TrainState) -> Any:
    """The energy with averaged parameters, as a function of one example."""
    return freeze(state.ema, state.norm_state)


def evaluated_energy(state: TrainState) -> EnergyFn:
    """The averaged energy as a function of one example."""
    energy = at_lowest_level(averaged(state))
    return Marginal(energy) if isinstance(energy, AbstractConditionalEnergy) else energy


def at_lowest_level(energy: Any, label: int | None = None) -> Any:
    """An energy over noise levels at its lowest level; any other energy as it is."""
    if not isinstance(energy, AbstractNoiseConditionalEnergy):
        return energy
    return of_class(energy, label).at(energy.levels.sigma[0])


def of_class(energy: AbstractNoiseConditionalEnergy, label: int | None) -> Any:
    """An energy over noise levels for one class, or for all."""
    return energy if energy.num_classes is None else energy.at_label(label)


def with_noise(energy: Any, x: np.ndarray, *, seed: int) -> np.ndarray:
    """Examples with noise of the lowest level of an energy over levels; for others as they are.

    The density of the energy is that of such examples, and samples of it are.
    """
    if not isinstance(energy, AbstractNoiseConditionalEnergy):
        return x
    noise = np.random.default_rng(seed).normal(size=x.shape)
    return (x + float(energy.levels.sigma[0]) * noise).astype(x.dtype)


def data_with_noise(energy: Any, dataset: Dataset, *, seed: int) -> Dataset:
    """A data set with the noise of `with_noise`."""
    train, test = (
        with_noise(energy, x, seed=seed + i) for i, x in enumerate((dataset.train, dataset.test))
    )
    return dataclasses.replace(dataset, train=train, test=test)


def has_labels(energy: Any) -> bool:
    """Whether the energy is trained on labelled batches."""
    if isinstance(energy, AbstractNoiseConditionalEnergy):
        return energy.num_classes is not None
    return isinstance(energy, AbstractConditionalEnergy | JEM)


def load_data(config: Config) -> Dataset:
    """The data set that a config names."""
    data = {name: value for name, value in config["data"].items() if name != "batch_size"}
    return load(**data)


def check_tables(config: Config) -> None:
    """Check the keys of a config, and that no table is missing."""
    check_keys(config)
    for part in ("data", *PARTS):
        if part not in config:
            raise ValueError(f"{part}: the config has no table [{part}]; begin from a recipe")
    if "name" not in config["data"]:
        raise ValueError('data.name: the config names no data, such as "digits"')
    check_arguments(Trainer, config.get("trainer", {}), "trainer")


def known_of(config: Config, facts: Facts) -> dict[str, Any]:
    """What the calls of a config may ask for by `$name`, but for the sampler."""
    return {
        "shape": facts.shape,
        "num_labels": facts.num_labels,
        "zeros": np.zeros(facts.shape, np.float32),
        "mean": facts.mean,
        "covariance": facts.covariance,
        "batch_size": config["data"].get("batch_size", 128),
    }


def make_sampler(config: Config, known: dict[str, Any]) -> AbstractSampler:
    """The sampler of a config."""
    sampler = build(config["sampler"], known, path="sampler")
    _check("sampler", sampler, isinstance(sampler, AbstractSampler), "a sampler")
    return sampler


def make_energy(config: Config, known: dict[str, Any]) -> tuple[Any, eqx.nn.State | None]:
    """The energy of a config before training, and its state if it has one."""
    key = jax.random.split(jax.random.key(config.get("seed", 0)), 3)[0]
    energy = build(config["energy"], {**known, "key": key}, path="energy")
    energy, norm_state = energy if isinstance(energy, tuple) else (energy, None)
    _check("energy", energy, callable(energy), "an energy")
    return energy, norm_state


def make_run(config: Config, facts: Facts, dataset: Dataset | None = None) -> Run:
    """The objects of a config, for data of which these facts are known; an error names a place."""
    check_tables(config)
    known = known_of(config, facts)
    known["sampler"] = sampler = make_sampler(config, known)
    energy, norm_state = make_energy(config, known)
    known["negatives"] = negatives = build(config["negatives"], known, path="negatives")
    _check("negatives", negatives, isinstance(negatives, AbstractNegatives), "a kind of negatives")
    loss = build(config["loss"], known, path="loss")
    _check("loss", loss, callable(loss), "a function")
    num_steps = config.get("num_steps")
    optim = optimiser(config["optim"], known, num_steps or _GUESS)
    more = config.get("trainer", {})
    more = {name: build(value, known, path=f"trainer.{name}") for name, value in more.items()}
    try:
        trainer = Trainer(optim, negatives, loss, **more)
    except TypeError as error:
        raise ValueError(f"trainer: {error}") from error
    if isinstance(energy, AbstractNoiseConditionalEnergy):
        fix = "it corrects samples at each noise level in units of it: leave bounds out"
        _checks.require(sampler.bounds is None, "sampler.bounds", sampler.bounds, fix)
        check_restartable(sampler, "sampler")
    if has_labels(energy) and facts.num_labels is None:
        raise ValueError(f"energy.kind={config['energy']['kind']!r}: {facts.name} has no labels")
    return Run(config, facts, energy, norm_state, sampler, trainer, num_steps, dataset)


def _check(part: str, built: Any, ok: bool, wanted: str) -> None:
    if not ok:
        raise ValueError(f"{part}.kind: {type(built).__name__} is not {wanted}")
