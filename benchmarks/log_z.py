"""How close do annealing and particles come to a known log Z?

Annealed importance sampling forwards (a bound from below) and, where there are exact samples,
backwards (from above), and adaptive sequential Monte Carlo. Seconds are those of a second run, when
all is compiled; compiling takes some seconds more. A target that is missed fails the script.

`--seeds 20` asks another question: whether `Z`, or `1/Z` backwards, is estimated without bias. The
mean of the ratios to the truth over so many seeds has to be 1 within three of its standard errors.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, write
from _flow import Flow

from ebmx.energies import Bernoulli, BernoulliRBM, Gaussian, GaussianMixture
from ebmx.evaluation import (
    adaptive_smc,
    annealed_importance_sampling,
    fit_gaussian,
    log_z_by_quadrature,
)
from ebmx.evaluation.log_z._estimate import LogZ


def draws(energy: Any, num: int) -> jax.Array:
    """Exact samples."""
    return jax.vmap(lambda key: energy.sample(key=key))(jax.random.split(jax.random.key(5), num))


def by_quadrature(flow: Flow) -> float:
    """`log Z` of a flow on the plane, which is 0 if the flow is what it says."""
    log_z = log_z_by_quadrature(flow, np.full(2, -25.0), np.full(2, 25.0), num_points=2000)
    if abs(log_z) > 1e-3:
        raise SystemExit(f"the flow is not normalised: log Z is {log_z}")
    return log_z


def machine(scale: float) -> BernoulliRBM:
    """784 visible and 20 hidden units, with weights of this standard deviation."""
    rng = np.random.default_rng(0)
    weight = scale * rng.normal(size=(784, 20))
    return BernoulliRBM(weight, 0.3 * rng.normal(size=784) - 1, rng.normal(size=20))


def targets() -> dict[str, tuple[Any, Any, float, float, dict[str, Callable[..., LogZ]]]]:
    """For each name: energy, base, the truth, the error that is allowed, and the estimators."""
    means = 3 * jax.random.normal(jax.random.key(0), (4, 32))
    mixture = GaussianMixture(means, 1.0, jnp.array([0.1, 0.2, 0.3, 0.4]))
    stretched = Gaussian(jnp.ones(784), jnp.exp(jnp.linspace(np.log(0.01), np.log(10), 784)))
    soft, hard = machine(0.1), machine(1.0)
    flow, small = Flow(16, key=jax.random.key(1)), Flow(2, key=jax.random.key(2))

    def ais(**options):
        return lambda e, b, key: annealed_importance_sampling(e, b, key=key, **options)

    def back(num, **options):
        def go(e, b, key):
            x = draws(e, num)
            return annealed_importance_sampling(e, b, samples=x, key=key, **options)

        return go

    def smc(**options):
        return lambda e, b, key: adaptive_smc(e, b, key=key, **options)

    many = {"num_temperatures": 8000}
    return {
        "mixture, 32-D": (mixture, fit_gaussian(draws(mixture, 1000)), 0.0, 0.1, {
            "annealing": ais(num_chains=512), "reverse": back(512),
            "particles": smc(num_particles=512, num_islands=8),
        }),
        "Gaussian, 784-D": (stretched, Gaussian(jnp.zeros(784)), float(stretched.log_z), 0.5, {
            "annealing": ais(num_chains=64, **many), "reverse": back(64, **many),
        }),
        "flow, 16-D": (flow, fit_gaussian(draws(flow, 1000)), 0.0, 0.1, {
            "annealing": ais(num_chains=512), "reverse": back(512),
            "particles": smc(num_particles=512, num_islands=8),
        }),
        "flow, 2-D": (small, fit_gaussian(draws(small, 1000)), by_quadrature(small), 0.02, {
            "annealing": ais(num_chains=512), "reverse": back(512),
        }),
        "RBM 784×20": (soft, Bernoulli(soft.visible_bias), float(soft.log_z), 0.05, {
            "annealing": ais(num_chains=128),
            "particles": smc(num_particles=512, num_islands=4),
        }),
        "RBM 784×20, large weights": (hard, Bernoulli(hard.visible_bias), float(hard.log_z), 0.1, {
            "particles": smc(num_particles=4096, num_islands=4, target_ess=0.9),
        }),
    }  # fmt: skip


def bias(estimate: Callable[[jax.Array], LogZ], truth: float, seeds: int, sign: int) -> dict:
    """The mean ratio of the estimated normaliser to the true one, over seeds."""
    found = [estimate(jax.random.key(100 + seed)).log_z for seed in range(seeds)]
    ratios = np.exp(sign * (np.array(found) - truth))
    error = float(ratios.std(ddof=1) / np.sqrt(seeds))
    return {"ratio": float(ratios.mean()), "error": error}


def over_seeds(options) -> None:
    """Print, for each target and estimator, whether it is without bias."""
    print(f"{'target':28s}{'estimator':>12s}{'mean ratio':>12s}{'± SE':>9s}{'SEs off':>9s}")
    rows, missed = [], []
    for name, (energy, base, truth, _, estimators) in targets().items():
        for kind, estimator in estimators.items() if options.only in name else ():
            if options.estimator not in kind:
                continue
            sign = -1 if kind == "reverse" else 1
            run = lambda key: estimator(energy, base, key)  # noqa: B023, E731
            row = bias(run, truth, options.seeds, sign)
            off = (row["ratio"] - 1) / row["error"]
            rows.append({"target": name, "estimator": kind, **row, "standard_errors": off})
            said = f"{row['ratio']:12.4f}{row['error']:9.4f}{off:9.2f}"
            print(f"{name:28s}{kind:>12s}{said}", flush=True)
            if abs(off) > 3:
                missed.append(f"{name} by {kind}")
    write(options.json, {"seeds": options.seeds, "rows": rows, "missed": missed})
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="the targets whose name holds this")
    parser.add_argument("--estimator", default="", help="of --seeds, those whose name holds this")
    parser.add_argument("--seeds", type=int, default=0, help="of the question of bias")
    options = parser.parse_args()
    if options.seeds > 0:
        over_seeds(options)
        return
    print(f"{'target':28s}{'estimator':>12s}{'truth':>11s}{'error':>9s}{'± said':>9s}{'s':>8s}")
    rows, missed = [], []
    for name, (energy, base, truth, allowed, estimators) in targets().items():
        for kind, estimator in estimators.items() if options.only in name else ():
            estimator(energy, base, jax.random.key(0))
            start = time.perf_counter()
            found = estimator(energy, base, jax.random.key(1))
            seconds = time.perf_counter() - start
            error = found.log_z - truth
            rows.append({
                "target": name, "estimator": kind, "truth": truth, "estimate": found.log_z,
                "standard_error": found.standard_error, "seconds": seconds,
            })  # fmt: skip
            said = f"{found.standard_error:9.4f}{seconds:8.1f}"
            print(f"{name:28s}{kind:>12s}{truth:11.3f}{error:9.4f}{said}", flush=True)
            if abs(error) > allowed or ("mixture" in name and seconds > 10):
                missed.append(f"{name} by {kind}")
    write(options.json, {"rows": rows, "missed": missed})
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
