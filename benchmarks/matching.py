"""Energy matching: what do the two transport plans cost, and which masses have modes?

`--part plans`: the mean squared distance and the time of both plans of `TransportPairs`, medians of
five, the two in turn. `--part masses`: two modes on the line, a quarter of the data at −1 and the
others at 1, each with a standard deviation of 0.3; 400 updates of transport, and 400 with chains at
T = 0.25 beside it, with several weights. The mass of the left mode of `exp(-E/T)`, the total
variation from the truth, by quadrature, and how many chains of 75 steps from noise end on the left.

`--part images`: the recipe `mnist_5k_matching` with the compiled kernel. As the training goes on,
the Fréchet ratio of 2,048 samples after 75 and 300 steps from noise, and in the end after 1,000;
and the mean energies of test images, of the samples after 300 steps, and of noise. `--test-images`
is as for `mnist.py`.
"""

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, medians, write
from _images import Extractor, train_for
from mnist import data_of

import ebmx
from ebmx.config import build, merge, recipe
from ebmx.energies import MLP
from ebmx.samplers import Annealed, Langevin
from ebmx.training import (
    CD,
    GaussianNoise,
    Objective,
    ShortRun,
    SplitNegatives,
    Trainer,
    TransportPairs,
    contrastive_loss,
    transport_matching_loss,
)
from ebmx.training.negatives._transport import assignment

TEMPERATURE, LEFT, SPREAD = 0.25, 0.25, 0.3
WARM_UP, MORE, BATCH = 400, 400, 64
GRID = np.linspace(-5, 5, 2001, dtype=np.float32)[:, None]
PAIRS = TransportPairs(plan="exact")
RAMP = Annealed(
    Langevin(0.05),
    temperature=optax.linear_schedule(0.0, TEMPERATURE, 35, transition_begin=40),
)


def plans() -> dict[str, dict[str, float]]:
    """Milliseconds and mean squared distances, for 128 digits and 128 points on the plane."""
    rng = np.random.default_rng(0)
    digits = ebmx.data.load("digits").train[:128].reshape(128, -1)
    plane = 2 * rng.choice([-1, 1], (128, 1)) + 0.2 * rng.normal(size=(128, 2))
    sinkhorn = TransportPairs()
    functions = {
        "sinkhorn": jax.jit(
            lambda x, z: jax.random.categorical(jax.random.key(0), sinkhorn._log_plan(x, z), axis=1)
        ),
        "exact": jax.jit(assignment),
    }
    found = {}
    for name, data in {"digits": digits, "plane": plane}.items():
        x = jnp.asarray(data, jnp.float32)
        z = jnp.asarray(rng.normal(size=x.shape), jnp.float32)
        times = medians({n: functools.partial(f, x, z) for n, f in functions.items()}, 5)
        cost = {n: float(jnp.mean(jnp.sum((x - z[f(x, z)]) ** 2, 1))) for n, f in functions.items()}
        cost["none"] = float(jnp.mean(jnp.sum((x[:, None] - z[None]) ** 2, -1)))
        found[name] = {f"{n} ms": 1e3 * t for n, t in times.items()} | cost
    return found


def batches(seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    while True:
        sign = np.where(rng.uniform(size=BATCH) < LEFT, -1, 1)
        yield (sign + SPREAD * rng.normal(size=BATCH)).astype(np.float32)[:, None]


def trainers() -> dict[str, Trainer]:
    optim = optax.adam(optax.cosine_decay_schedule(3e-3, WARM_UP + MORE, 0.03))
    split = SplitNegatives((CD(RAMP, 75), ShortRun(RAMP, 75, GaussianNoise())))

    def chains(weight: float, trim: float = 0.1) -> Objective:
        bounded = {"trim": jnp.array(trim), "lower_bound": jnp.array(-20.0)}
        loss = eqx.Partial(contrastive_loss, **bounded)
        return Objective(split, loss, weight=weight, start=WARM_UP)

    first = Objective(PAIRS, transport_matching_loss, stop=WARM_UP)
    matching = (optim, PAIRS, transport_matching_loss, 0.99)
    return {
        "transport alone": Trainer(*matching),
        "chains, weight 1": Trainer(*matching, objectives=[chains(1.0)]),
        "chains, weight 10": Trainer(*matching, objectives=[chains(10.0)]),
        "without trimming": Trainer(*matching, objectives=[chains(10.0, trim=0.0)]),
        "in place of transport": Trainer(optim, ema_decay=0.99, objectives=[first, chains(10.0)]),
    }


def masses(trainer: Trainer, seed: int) -> tuple[float, float, float]:
    """Of the left mode, the distance from the truth, and how many chains end on the left."""
    key = jax.random.key(seed)
    state = trainer.init(MLP((1,), (32, 32), key=key), key=key)
    options = {"num_steps": WARM_UP + MORE, "key": key, "progress": False, "log_every": 200}
    energy = ebmx.fit(trainer, state, batches(seed), **options)[0].ema
    values = np.asarray(ebmx.energy(energy, GRID), np.float64) / TEMPERATURE
    density = np.exp(values.min() - values)
    density /= density.sum()
    left, right = (np.exp(-0.5 * ((GRID[:, 0] - m) / SPREAD) ** 2) for m in (-1, 1))
    truth = (LEFT * left + (1 - LEFT) * right) / left.sum()
    noise = jax.random.normal(key, (2000, 1))
    ends, _ = ebmx.run(energy, RAMP, noise, num_steps=75, key=key)
    distance = 0.5 * np.abs(density - truth).sum()
    return density[GRID[:, 0] < 0].sum(), distance, float(np.mean(np.asarray(ends) < 0))


def images(folder: Path | None, updates: int, looks: int) -> list[dict[str, float]]:
    """What samples are like as the training goes on."""
    data, config = data_of(folder), recipe("mnist_5k_matching")
    (optimiser,) = (one for one in config["optim"] if one["kind"] == "muon")
    optimiser["learning_rate"]["decay_steps"] = updates
    del config["num_steps"]
    config = merge(config, {"energy": {"native": True}})
    judge, sampler, found = Extractor(data), build(config["sampler"], path="sampler"), []
    noise = jax.random.normal(jax.random.key(5), (2048, *data.shape))
    begin, away = time.process_time(), 0.0

    def look(state: Any, seconds: float) -> None:
        nonlocal away
        del seconds
        now = time.process_time()
        energy = ebmx.energies.freeze(state.ema, state.norm_state)
        line = {"updates": int(state.step), "cpu_seconds": now - begin - away}
        for num_steps in (75, 300, 1000) if line["updates"] == updates else (75, 300):
            x, _ = ebmx.run(energy, sampler, noise, num_steps=num_steps, key=jax.random.key(1))
            line[f"ratio_{num_steps}"] = judge.ratio(np.clip(x, -1, 1))
            if num_steps == 300:
                line["samples"] = float(np.mean(ebmx.energy(energy, x)))
        for name, of in {"data": data.test[:1000], "noise": noise}.items():
            line[name] = float(np.mean(ebmx.energy(energy, jnp.asarray(of))))
        found.append(line)
        print({key: round(value, 2) for key, value in line.items()}, flush=True)
        away += time.process_time() - now

    trained = train_for(config, data, float("inf"), updates=updates, looks=looks, look=look)
    look(trained.state, trained.seconds)
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--part", choices=("plans", "masses", "images"), default="plans")
    parser.add_argument("--updates", type=int, default=17_000)
    parser.add_argument("--looks", type=int, default=9)
    parser.add_argument("--test-images", type=Path, help="a folder, see mnist.py")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    figures: Any = {}
    if options.part == "images":
        figures = images(options.test_images, options.updates, options.looks)
    elif options.part == "plans":
        figures = plans()
        for name, row in figures.items():
            print(name, {key: round(value, 2) for key, value in row.items()})
    else:
        for name, trainer in trainers().items():
            found = [masses(trainer, seed) for seed in range(options.seeds)]
            figures[name] = dict(
                zip(("left mass", "distance", "chains"), np.mean(found, 0).tolist(), strict=True)
            )
            print(name, {key: round(value, 3) for key, value in figures[name].items()}, flush=True)
    write(options.json, {options.part: figures})


if __name__ == "__main__":
    main()
