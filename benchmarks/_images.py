"""What the benchmarks on images share: training for some time, a judge, images that are others."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import ebmx
from ebmx.config import build, merge
from ebmx.data import Dataset
from ebmx.energies import freeze
from ebmx.evaluation import (
    effective_classes,
    frechet_ratio,
    train_classifier,
    two_sample_auc,
)
from ebmx.runs._facts import Facts
from ebmx.runs._run import Run, make_run
from ebmx.training import TrainState

Look = Callable[[TrainState, float], None]
"""Looks at the state of a training after so many seconds."""

_CALIBRATION, _INTERVAL = 24, 4
_CHUNK = 500


@dataclasses.dataclass(frozen=True)
class Trained:
    """What came out of a training."""

    energy: Any
    """The averaged one, frozen."""
    state: TrainState
    updates: int
    seconds: float
    cpu_seconds: float
    """Of the process, all cores together: what a busy machine gave to it."""
    planned: int
    """For how many updates the learning rate was laid out."""


def run_of(config: dict[str, Any], dataset: Dataset, num_steps: int) -> Run:
    """The objects of a config, for a planned number of updates."""
    return make_run(merge(config, {"num_steps": num_steps}), Facts.of(dataset), dataset)


def train_for(
    config: dict[str, Any],
    dataset: Dataset,
    seconds: float,
    *,
    updates: int | None = None,
    looks: int = 0,
    look: Look | None = None,
) -> Trained:
    """Train from scratch for some seconds, compiling included; what `look` takes is not counted.

    A number of updates, if given, counts instead of the seconds.
    """
    _, init_key, _, fit_key = jax.random.split(jax.random.key(config.get("seed", 0)), 4)
    begin, cpu, away, cpu_away = time.monotonic(), time.process_time(), 0.0, 0.0

    def go(num_steps: int, laid_out: int, log_every: int, callbacks: Sequence[Any]) -> TrainState:
        run = run_of(config, dataset, laid_out)
        state = run.trainer.init(run.energy, run.norm_state, key=init_key)
        return ebmx.fit(
            run.trainer, state, run.batches(), num_steps=num_steps, key=fit_key,
            log_every=log_every, callbacks=callbacks, progress=False,
        )[0]  # fmt: skip

    planned = updates
    if planned is None:
        times: list[float] = []
        go(_CALIBRATION, _CALIBRATION, _INTERVAL, [lambda *_: times.append(time.monotonic())])
        steady = float(np.median(np.diff(times[1:]))) / _INTERVAL
        left = seconds - (time.monotonic() - begin) - (times[0] - begin)
        planned = max(1, int(left / steady))
    end = seconds if updates is None else float("inf")
    marks = [planned * (i + 1) // looks for i in range(looks - 1)]

    def watch(step: int, state: TrainState, metrics: dict[str, float]) -> bool:
        nonlocal away, cpu_away
        now = time.monotonic() - begin - away
        if marks and look is not None and step >= marks[0]:
            marks[:] = [mark for mark in marks if mark > step]
            before = time.process_time()
            look(state, now)
            cpu_away += time.process_time() - before
            away += time.monotonic() - begin - away - now
        return now > end

    state = go(planned, planned, 10, [watch])
    spent = time.monotonic() - begin - away
    return Trained(
        energy=freeze(state.ema, state.norm_state),
        state=state,
        updates=int(state.step),
        seconds=round(spent, 1),
        cpu_seconds=round(time.process_time() - cpu - cpu_away, 1),
        planned=planned,
    )


def draw(
    config: dict[str, Any], trained: Trained, num: int, *, steps: int, quiet: int, seed: int = 0
) -> np.ndarray:
    """Persistent chains that have gone on for some steps, and for some more without noise."""
    draw_key, run_key, quiet_key = jax.random.split(jax.random.key(seed), 3)
    x = trained.state.negatives_state.draw(num, key=draw_key).x
    sampler = build(config["sampler"], path="sampler")
    if steps > 0:
        x, _ = ebmx.run(trained.energy, sampler, x, num_steps=steps, key=run_key)
    if quiet > 0:
        silent = dataclasses.replace(sampler, noise_scale=0.0)
        x, _ = ebmx.run(trained.energy, silent, x, num_steps=quiet, key=quiet_key)
    return np.asarray(x)


class Extractor:
    """Compares samples with the test images, in features of a classifier of the training images."""

    def __init__(self, dataset: Dataset):
        """Train the classifier."""
        assert dataset.train_labels is not None
        labels = np.asarray(dataset.train_labels).astype(np.int32)
        network = train_classifier(dataset.train, labels, key=jax.random.key(0))
        self.features = in_chunks(eqx.filter_jit(eqx.filter_vmap(network.features)))
        self.logits = in_chunks(eqx.filter_jit(eqx.filter_vmap(network)))
        self.test = self.features(dataset.test)
        self.train = self.features(dataset.train)
        self.accuracy = float(np.mean(self.logits(dataset.test).argmax(1) == dataset.test_labels))
        self.train_auc = self._auc(self.train)

    def ratio(self, x: np.ndarray) -> float:
        """The Fréchet distance of samples to the test images over that of as many training ones."""
        return frechet_ratio(self.features(x), self.train, self.test)

    def figures(self, x: np.ndarray) -> dict[str, float]:
        """What the features and classes of samples say."""
        probabilities = np.asarray(jax.nn.softmax(self.logits(x)))
        return {
            "frechet_ratio": self.ratio(x),
            "two_sample_auc": self._auc(self.features(x)),
            "two_sample_auc_of_training_images": self.train_auc,
            "effective_classes": effective_classes(probabilities.argmax(1)),
            "confidence": float(probabilities.max(1).mean()),
        }

    def _auc(self, features: np.ndarray) -> float:
        even = min(len(features), len(self.test), 2000)
        return two_sample_auc(features[:even], self.test[:even], key=jax.random.key(0))


def look_at_seeds(
    config: dict[str, Any], dataset: Dataset, seeds: Iterable[int], *, updates: int, looks: int
) -> list[dict[str, Any]]:
    """Train each seed; the Fréchet ratio of its persistent chains after so many updates."""
    judge, rows = Extractor(dataset), []
    for seed in seeds:
        ratios: dict[int, float] = {}

        def look(state: TrainState, seconds: float, ratios: dict[int, float] = ratios) -> None:
            del seconds
            ratios[int(state.step)] = judge.ratio(np.asarray(state.negatives_state.positions))

        own = merge(config, {"seed": seed})
        end = float("inf")
        trained = train_for(own, dataset, end, updates=updates, looks=looks, look=look)
        look(trained.state, trained.seconds)
        row = {"seed": seed, "skipped": int(trained.state.skipped)}
        rows.append(row | {"cpu_seconds": trained.cpu_seconds, "ratios": ratios})
        words = "  ".join(f"{step}: {ratio:.3f}" for step, ratio in ratios.items())
        print(f"seed {seed}  {words}  {trained.cpu_seconds} CPU s", flush=True)
    last = [list(row["ratios"].values())[-1] for row in rows]
    skipped = sum(row["skipped"] for row in rows)
    middle = statistics.median(last)
    print(f"{min(last):.3f} to {max(last):.3f}, median {middle:.3f}; {skipped} updates skipped")
    return rows


def in_chunks(function: Callable[[jax.Array], jax.Array]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of many examples, compiled once for chunks of one size."""

    def whole(x: np.ndarray) -> np.ndarray:
        rows = [np.arange(i, min(i + _CHUNK, len(x))) for i in range(0, len(x), _CHUNK)]
        parts = [function(jnp.asarray(x[np.resize(r, _CHUNK)]))[: len(r)] for r in rows]
        return np.concatenate([np.asarray(part) for part in parts])

    return whole


def energies(energy: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The energies of many examples."""
    return in_chunks(lambda x: ebmx.energy(energy, x))


def others_made_of(x: np.ndarray, *, patches: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    """Images that are no data: two easy kinds, and three made of the data `(num, h, w, c)`."""
    rng, (num, height, width, channels) = np.random.default_rng(seed), x.shape
    level = rng.uniform(-1, 1, size=(num, 1, 1, channels)).astype(np.float32)
    tall, wide = height // patches, width // patches
    cut = x[:, : tall * patches, : wide * patches]
    cells = cut.reshape(num, patches, tall, patches, wide, channels).swapaxes(2, 3)
    cells = cells.reshape(num, patches**2, tall, wide, channels)
    cells = np.stack([image[rng.permutation(patches**2)] for image in cells])
    cells = cells.reshape(num, patches, patches, tall, wide, channels).swapaxes(2, 3)
    return {
        "constants": np.broadcast_to(level, x.shape),
        "uniform noise": rng.uniform(-1, 1, size=x.shape).astype(np.float32),
        "horizontal flips": x[:, :, ::-1],
        "rotations by 90°": np.rot90(x, axes=(1, 2)),
        "patch shuffles": cells.reshape(num, tall * patches, wide * patches, channels),
    }
