"""What does a ladder that tunes itself save, and are log Z and energies right?

For two targets with a known log Z, a many-well energy of 32 dimensions and a mixture of 40
Gaussians in 16 dimensions: the error of log Z from a ladder tuned by `tune_ladder`, its standard
error, and how many energies it takes to reach the wanted standard error, the tuning included.
Beside it three geometric ladders: the one that the tuning begins with, "untuned", of eight rungs up
to a temperature of 128 and with its step size; and two with the step size that the tuned one has at
the lowest temperature, scaled by the temperature for MALA: with a ratio of 2, and with the number
of rungs and the highest temperature of the tuned one, which nobody would know beforehand. The
target is half of the energies of the untuned ladder.

For four particles on the plane whose pairs have two wells (DW4), and for 13 in space that attract
each other (LJ13): the Wasserstein distance of the energies to those of a long run of another
ladder, in their standard deviations.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, write
from scipy.stats import wasserstein_distance

from ebmx.energies import DoubleWellParticles, Gaussian, LennardJones, ManyWell, forty_modes
from ebmx.evaluation import log_z_by_tempering
from ebmx.samplers import HMC, MALA, Langevin, ReplicaExchange, run, run_replicas, tune_ladder

CHAINS, WARMUP = 64, 0.25
WANTED = {"many wells": 0.05, "40 modes": 0.02}
ENERGIES = 0.5
DISTANCE = 0.02
PARTICLES = {"DW4": (DoubleWellParticles, 2.5, 64.0), "LJ13": (LennardJones, 1.0, 2.0)}
"""An energy of particles, the spread of the base, the highest temperature of the other ladder."""


class Target(NamedTuple):
    energy: Callable[[jax.Array], jax.Array]
    base: Gaussian
    log_z: float
    sampler: HMC | MALA
    cost: int
    longer: int = 1
    """How much longer the tuned ladder runs than the others, for an error that is small enough."""


def many_wells() -> Target:
    energy = ManyWell()
    return Target(energy, Gaussian(jnp.zeros(32), 3.0), float(energy.log_z), HMC(0.1, 5), 5)


def modes_in_16_dimensions() -> Target:
    energy = forty_modes(16)
    return Target(energy, Gaussian(jnp.zeros(16), 600.0), float(energy.log_z), MALA(0.05), 1, 8)


def geometric(highest: float, num: int) -> jax.Array:
    return jnp.append(jnp.geomspace(1.0, highest, num), jnp.inf)


def starts(base: Gaussian, key: jax.Array) -> jax.Array:
    return jax.vmap(lambda key: base.sample(key=key))(jax.random.split(key, CHAINS))


def estimate(target: Target, ladder: ReplicaExchange, replicas: Any, steps: int, wanted: float):
    """Error, standard error, and energies to the standard error that is wanted, without a start."""
    found = log_z_by_tempering(
        target.energy, ladder, replicas, num_steps=steps, key=jax.random.key(2)
    )
    spent = target.cost * CHAINS * ladder.num_rungs * steps
    return {
        "error": found.log_z - target.log_z,
        "standard_error": found.standard_error,
        "thermodynamic_error": found.thermodynamic_log_z - target.log_z,
        "barrier": found.barrier,
        "rungs": ladder.num_rungs,
        "rejection": [float(found.rejection.min()), float(found.rejection.max())],
        "round_trips": float(found.round_trips.mean()),
        "energies": spent * (found.standard_error / wanted) ** 2,
    }


def compare(name: str, target: Target, steps: int) -> dict[str, Any]:
    """The tuned ladder, and two that are not."""
    wanted, (start_key, tune_key, warm_key) = WANTED[name], jax.random.split(jax.random.key(0), 3)
    x, energy, base = starts(target.base, start_key), target.energy, target.base
    begin = ReplicaExchange(target.sampler, geometric(128.0, 7), base=base)
    num = int(WARMUP * steps)
    ladder, replicas, report = tune_ladder(energy, begin, x, num_steps=num, key=tune_key)
    tuned = estimate(target, ladder, replicas, target.longer * steps, wanted)
    assert report.step_sizes is not None
    tuning = target.cost * CHAINS * report.num_moves
    rows = {"tuned": {**tuned, "energies": tuned["energies"] + tuning, "tuning": tuning}}
    highest = float(ladder.temperatures[-2])
    sampler = dataclasses.replace(target.sampler, step_size=report.step_sizes[0])
    twos = 2.0 ** jnp.append(jnp.arange(np.ceil(np.log2(highest)) + 1), jnp.inf)
    others = {"untuned": begin} | {
        name: ReplicaExchange(sampler, temperatures, isinstance(sampler, MALA), base)
        for name, temperatures in {
            "ratio 2": twos, "as many": geometric(highest, ladder.num_rungs - 1),
        }.items()
    }  # fmt: skip
    for other, ladder_of in others.items():
        replicas = jnp.repeat(x[:, None], ladder_of.num_rungs, 1)
        replicas, _, _ = run_replicas(energy, ladder_of, replicas, num_steps=num, key=warm_key)
        row = estimate(target, ladder_of, replicas, steps, wanted)
        first = target.cost * CHAINS * ladder_of.num_rungs * num
        rows[other] = {**row, "energies": row["energies"] + first, "tuning": first}
    for row_name, row in rows.items():
        print(
            f"{name:11s} {row_name:8s} error {row['error']:+.3f} ± {row['standard_error']:.3f}"
            f"  integral {row['thermodynamic_error']:+.3f}  barrier {row['barrier']:.2f}"
            f"  {row['rungs']} rungs, rejection {row['rejection'][0]:.2f} to"
            f" {row['rejection'][1]:.2f}  {row['round_trips']:.1f} trips"
            f"  {row['energies']:.2e} energies to ± {wanted}"
        )
    return rows


def distance(energy: Any, spread: float, hottest: float, steps: int) -> float:
    """The distance of the energies of particles to those of a long run of another ladder."""
    start_key, tune_key, other_key, short_key, long_key = jax.random.split(jax.random.key(4), 5)
    base = Gaussian(jnp.zeros(energy.shape), spread**2)
    # overlapping particles would stay where they are: no step that is accepted leads away
    apart = Langevin(1e-3, temperature=0.0, grad_clip=10.0)
    x, _ = run(energy, apart, starts(base, start_key), num_steps=1000, key=start_key)
    begin = ReplicaExchange(HMC(0.02, 8), geometric(64.0, 7), base=base)
    ladder, replicas, report = tune_ladder(energy, begin, x, num_steps=steps // 2, key=tune_key)
    print(f"the ladder: {report}")
    other = ReplicaExchange(HMC(0.02, 8), jnp.geomspace(1.0, hottest, 4))
    other, far, report = tune_ladder(energy, other, -x, num_steps=steps, key=other_key)
    print(f"the other ladder: {report}")
    short = energies_of(energy, ladder, replicas, steps, short_key)
    long = energies_of(energy, other, far, 2 * steps, long_key)
    return float(wasserstein_distance(short, long) / long.std())


def energies_of(
    energy: Any, ladder: ReplicaExchange, replicas: Any, steps: int, key: jax.Array
) -> np.ndarray:
    """Of the lowest rung, every tenth step."""

    @jax.jit
    def go(replicas, key):
        def step(replicas, i):
            one = jax.random.fold_in(key, i)
            replicas, _, _ = run_replicas(energy, ladder, replicas, num_steps=10, key=one)
            return replicas, jax.vmap(energy)(replicas[:, 0])

        return jax.lax.scan(step, replicas, jnp.arange(steps // 10))[1]

    return np.asarray(go(replicas, key)).ravel()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--num-steps", type=int, default=16_000, help="of one energy")
    parser.add_argument("--only", choices=[*WANTED, *PARTICLES])
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    wrong = []
    for name, make in {"many wells": many_wells, "40 modes": modes_in_16_dimensions}.items():
        if options.only in (None, name):
            target = make()
            rows = figures[name] = compare(name, target, options.num_steps // target.cost)
            ratios = {
                other: rows["tuned"]["energies"] / row["energies"] for other, row in rows.items()
            }
            words = ", ".join(f"{ratio:.2f} of {other}" for other, ratio in ratios.items())
            print(f"{name:11s} energies of the tuned ladder: {words}")
            ratio = ratios["untuned"]
            ok = abs(rows["tuned"]["error"]) <= WANTED[name] and ratio <= ENERGIES
            wrong += [] if ok else [name]
    for name, (make, spread, hottest) in PARTICLES.items():
        if options.only in (None, name):
            found = figures[name] = distance(make(), spread, hottest, options.num_steps)
            print(f"{name}: distance of energies {found:.4f}, target {DISTANCE}")
            wrong += [] if found <= DISTANCE else [name]
    write(options.json, figures)
    if wrong:
        raise SystemExit(f"a target was missed: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
