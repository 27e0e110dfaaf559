"""The table of record: which sampler is how good on which target, on equal budgets?

Each sampler of the table on each target: 64 chains from a start that knows nothing of the target,
`--budget` evaluations of the energy for each chain, a fifth of them for `ebmx.samplers.warmup`,
which tunes what it can; nothing is tuned by hand. A gradient is one evaluation. Of the draws after
the warm-up:

* `bias_1`, `bias_2`: the squared error of the mean and of the second moment of an observable, over
  its variance, the largest of all observables, after a tenth, a third and all of the draws. What
  independent draws have is 1 over their number; 0.01 is usual as "low".
* `ess`: effective draws of the mean for 1,000 evaluations, the least of all observables.
* `coverage`: the share of the modes that are visited, and `mode_distance`, the total variation
  between the shares of the modes and the true ones, where modes are known.
* `log_z_error`: that of `log_z_by_tempering` with as many moves, of ladders with a base, where log
  Z is known.
* `seconds`: of the compiled call, on this machine.

`--csv PATH` adds the lines that a table lacks, with `--again` all; `record.csv` is ours. `--page`
makes `docs/record.md` and its picture of it again, and runs nothing. `--truth` makes the moments
of targets without exact samples again, in `record_truth.json`.

A new sampler is one line of `_record_samplers.py`, a new target one of `_record_targets.py`.
"""

import csv
import functools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, write
from _evaluations import per_step
from _record_page import write_page
from _record_samplers import SAMPLERS, Ready
from _record_targets import TARGETS, Target, Truth, keep_truth, of_draws, seen, truth_of

import ebmx
from ebmx.evaluation import diagnose, log_z_by_tempering
from ebmx.samplers import RESULTS, Langevin, ReplicaExchange

HERE = Path(__file__).parent
CHAINS, DRAWS = 64, 512
TUNING = 0.2
PARTS = {"tenth": 0.1, "third": 1 / 3, "all": 1.0}
FIELDS = (
    "target", "sampler", "seed", "budget", "evaluations", "evaluations_per_step",
    "gradients_per_step",
    *(f"bias_{i}_{part}" for part in PARTS for i in (1, 2)), "ess", "coverage", "mode_distance",
    "log_z_error", "acceptance", "failed", "seconds",
)  # fmt: skip


class Chains(NamedTuple):
    """What was drawn, and what it took."""

    observed: np.ndarray
    """`(chains, draws, observables)`"""
    modes: np.ndarray | None
    acceptance: float
    failed: int
    cost: tuple[float, float]
    """Energies of a step, and gradients among them."""
    drawing: float
    """The evaluations of a chain after the warm-up."""
    spent: float
    """Those of the warm-up."""
    seconds: float
    log_z_error: float | None = None


def draws(
    name: str, sampler: str, budget: int, seeds: Iterable[int], *, timed: bool = True
) -> Iterator[Chains | None]:
    """Warm up, then draw with what is left of the budget; for all seeds one compiled program.

    `None` is a warm-up that has failed. If `timed`, what is to be compiled runs once before.
    """
    target, make, cost, compiled = TARGETS[name](), SAMPLERS[sampler], None, set()

    def save(x, info):
        del info
        return seen(target, x)

    for seed in seeds:
        start_key, tune_key, count_key, key = jax.random.split(jax.random.key(seed), 4)
        x = target.scale * jax.random.normal(start_key, (CHAINS, *target.energy.shape))
        if target.apart:
            downhill = Langevin(1e-3, temperature=0.0, grad_clip=10.0)
            x, _ = ebmx.run(target.energy, downhill, x, num_steps=1000, key=start_key)
        try:
            ready = make(target, x, int(TUNING * budget), tune_key)
        except FloatingPointError as error:
            print(f"{name} | {sampler} | {seed}: {error}", flush=True)
            yield None
            continue
        if ready is None:
            return
        cost = ready.cost or cost
        # counting compiles for long, and seeds hardly differ, but for the rungs of a ladder
        if cost is None or isinstance(ready.sampler, ReplicaExchange):
            cost = per_step(target.energy, ready.sampler, ready.x, key=count_key)
        # all steps that the budget has left, of which 512 are kept at most
        steps = max(8, int((budget - ready.spent) / cost[0]))
        thin = -(-steps // DRAWS)
        options = {
            "num_samples": steps // thin, "thin": thin, "save": save, "throw": False, "key": key,
        }  # fmt: skip
        go = functools.partial(
            ebmx.sample, target.energy, ready.sampler, ready.x, state=ready.state, **options
        )
        shapes = jax.tree.map(jnp.shape, (ready.sampler, ready.state))
        if timed and str((steps, shapes)) not in compiled:
            jax.block_until_ready(go())
            compiled.add(str((steps, shapes)))
        begin = time.perf_counter()
        samples = jax.block_until_ready(go())
        seconds = time.perf_counter() - begin
        found = chains_of(
            target, samples, cost, steps // thin * thin * cost[0], ready.spent, seconds
        )
        yield found._replace(log_z_error=log_z_error(target, ready, steps, key))


def log_z_error(target: Target, ready: Ready, steps: int, key: jax.Array) -> float | None:
    """Of a ladder with a base on a target whose log Z is known."""
    ladder, known = ready.sampler, getattr(target.energy, "log_z", None)
    if not isinstance(ladder, ReplicaExchange) or ladder.base is None or known is None:
        return None
    replicas = jnp.concatenate([ready.x[:, None], ready.state.upper], axis=1)
    found = log_z_by_tempering(target.energy, ladder, replicas, num_steps=steps, key=key)
    return found.log_z - float(known)


def chains_of(
    target: Target,
    found: Any,
    cost: tuple[float, float],
    drawing: float,
    spent: float,
    seconds: float,
) -> Chains:
    """What is looked at of the samples."""
    observed, modes = (np.asarray(value) for value in found.values)
    return Chains(
        observed=observed.astype(np.float64),
        modes=modes if target.mode else None,
        acceptance=float(np.mean(found.info.acceptance)),
        failed=int(np.sum(found.result != RESULTS.successful)),
        cost=cost,
        drawing=drawing,
        spent=spent,
        seconds=seconds,
    )


def biases(observed: np.ndarray, truth: Truth) -> tuple[float, float]:
    """The largest squared errors of a mean and of a second moment, over the variances."""
    found = []
    for power, moment in ((1, truth.first), (2, truth.second)):
        error = np.mean(observed**power, (0, 1)) - moment.mean
        found.append(float(np.max(error**2 / moment.variance)))
    return found[0], found[1]


def make_truth(name: str, budget: int | None) -> None:
    """Chains of the target's reference, four budgets for each of five seeds."""
    target, seeds = TARGETS[name](), range(100, 105)
    every = draws(name, target.reference, 4 * (budget or target.budget), seeds, timed=False)
    found = [chains for chains in every if chains is not None]
    if not found:
        keep_truth(name, None, np.inf)
        return
    # ladders of other seeds may have other rungs, and so other numbers of steps
    num = min(one.observed.shape[1] for one in found)
    observed = np.concatenate([one.observed[:, :num] for one in found])
    modes = np.concatenate([one.modes[:, :num] for one in found if one.modes is not None] or [[]])
    rhat = float(np.max(diagnose(observed.astype(np.float32), warn=False).rhat))
    flat, modes = observed.reshape(-1, observed.shape[-1]), np.ravel(modes).astype(int)
    if target.mirror is not None:
        both = (flat, modes), target.mirror(flat, modes)
        flat, modes = (np.concatenate(pair) for pair in zip(*both, strict=True))
    keep_truth(name, of_draws(target, flat, modes), rhat)
    print(f"{name}: R-hat {rhat:.4f} of {len(observed)} chains", flush=True)


def figures(chains: Chains, truth: Truth | None) -> dict[str, Any]:
    """What a line of the table says of the chains."""
    found: dict[str, Any] = {
        "evaluations": chains.spent + chains.drawing, "evaluations_per_step": chains.cost[0],
        "gradients_per_step": chains.cost[1],
        "acceptance": chains.acceptance, "failed": chains.failed, "seconds": chains.seconds,
        "log_z_error": chains.log_z_error,
    }  # fmt: skip
    for part, share in PARTS.items():
        if truth is None:
            break
        pair = biases(chains.observed[:, : max(1, int(share * chains.observed.shape[1]))], truth)
        found |= {f"bias_{i + 1}_{part}": value for i, value in enumerate(pair)}
    sizes = np.ravel(diagnose(chains.observed.astype(np.float32), warn=False).ess_bulk)
    found["ess"] = 1000 * float(np.min(sizes)) / (CHAINS * chains.drawing)
    if chains.modes is not None and truth is not None:
        shares = np.bincount(chains.modes.ravel(), minlength=len(truth.modes)) / chains.modes.size
        found["coverage"] = float(np.mean(shares[truth.modes > 0] > 0))
        found["mode_distance"] = float(np.abs(shares - truth.modes).sum() / 2)
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a table; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def keep(path: Path, new: dict[str, Any]) -> None:
    """Put a line into the table, in place of an older one of the same cell."""
    cell = lambda one: (one["target"], one["sampler"], str(one["seed"]))  # noqa: E731
    rows = [one for one in rows_of(path) if cell(one) != cell(new)] + [new]
    rows.sort(key=lambda one: (list(TARGETS).index(one["target"]), *cell(one)[1:]))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def shown(value: Any) -> Any:
    """A number with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else value


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--target", default="", help="those whose name holds this")
    parser.add_argument("--sampler", default="", help="those whose name holds this")
    parser.add_argument("--budget", type=int, help="evaluations of each chain: the target's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--csv", type=Path, help="the table to add to")
    parser.add_argument("--again", action="store_true", help="also what the table has")
    parser.add_argument("--page", action="store_true", help="make the page again")
    parser.add_argument("--truth", action="store_true", help="make the moments again")
    options = parser.parse_args()
    if options.page:
        write_page(rows_of(HERE / "record.csv"))
        return
    names = [name for name in TARGETS if options.target in name]
    if options.truth:
        for name in names:
            make_truth(name, options.budget)
        return
    made = []
    for name in names:
        truth = truth_of(name)
        for sampler in (one for one in SAMPLERS if options.sampler in one):
            made += cell(name, sampler, truth, options)
        jax.clear_caches()
    write(options.json, {"rows": made})


def cell(name: str, sampler: str, truth: Truth | None, options: Any) -> list[dict[str, Any]]:
    """The lines of a sampler on a target that the table lacks."""
    known = rows_of(options.csv) if options.csv is not None else []
    have = {one["seed"] for one in known if (one["target"], one["sampler"]) == (name, sampler)}
    seeds, made = [one for one in options.seeds if str(one) not in have or options.again], []
    budget = options.budget or TARGETS[name]().budget
    for seed, chains in zip(seeds, draws(name, sampler, budget, seeds), strict=False):
        place = {"target": name, "sampler": sampler, "seed": seed, "budget": budget}
        found = {"failed": CHAINS} if chains is None else figures(chains, truth)
        found = place | {key: shown(value) for key, value in found.items()}
        words = "  ".join(f"{key} {found.get(key, '–')}" for key in FIELDS[4:])
        print(f"{name} | {sampler} | {seed}: {words}", flush=True)
        made.append(found)
        if options.csv is not None:
            keep(options.csv, found)
    return made


if __name__ == "__main__":
    main()
