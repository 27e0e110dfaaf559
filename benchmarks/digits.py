"""How good are the digits after a minute of training?

Trains the default recipe for some seconds, or updates, on the embedded digits, for some seeds, and
prints the Fréchet ratio of the samples: the distance of 4,096 to the test images, as the mean over
sets of as many as there are training images, over the distance of the training images; in the
penultimate features of a small classifier trained on the training images. Then for samples rounded
to the 17 grey levels of the data, as they are and after some steps without noise: the ratio again,
how well classifiers tell them from test images, of features and of pixels (½ is a guess), by a line
and by a forest, and how near they are to training images.

`--part looks` trains each seed once, for `--updates`, and prints the ratio of the persistent chains
at `--looks` times on the way.
"""

import statistics
import tempfile
from typing import Any

import jax
import numpy as np
from _common import arguments, write
from _images import Extractor, look_at_seeds
from sklearn.ensemble import RandomForestClassifier

import ebmx
from ebmx.config import merge, recipe
from ebmx.evaluation import nearest_distances, two_sample_auc

NUM_SETS = 4
"""How many disjoint sets of samples are told from the test images, for a mean."""


def flat(x: np.ndarray) -> np.ndarray:
    """Pixels as features."""
    return x.reshape(len(x), -1)


def areas(
    x: np.ndarray, test: np.ndarray, judge: Extractor, num_sets: int = NUM_SETS
) -> dict[str, float]:
    """How well classifiers tell samples from test images, in equal numbers."""
    forest = RandomForestClassifier(300, min_samples_leaf=2, random_state=0)
    kinds = {
        "features, line": (judge.features, None),
        "pixels, line": (flat, None),
        "pixels, forest": (flat, forest),
    }
    found = {}
    for name, (view, classifier) in kinds.items():
        num, other = len(test), view(test)
        parts = [view(x[i * num : (i + 1) * num]) for i in range(min(num_sets, len(x) // num))]
        values = [
            two_sample_auc(part, other, classifier=classifier, key=jax.random.key(i))
            for i, part in enumerate(parts)
        ]
        found[name] = statistics.mean(values)
    return found


def figures_of(
    x: np.ndarray, data: ebmx.data.Dataset, judge: Extractor, num_sets: int = NUM_SETS
) -> dict[str, float]:
    """What is said of a set of samples."""
    rounded = (np.round(8 * (np.clip(x, -1, 1) + 1)) / 8 - 1).astype(np.float32)
    near = nearest_distances(flat(rounded[:2000]), flat(data.train))
    return {
        "ratio": judge.ratio(rounded),
        **areas(rounded, data.test, judge, num_sets),
        "pixels, forest, not rounded": areas(x, data.test, judge, num_sets)["pixels, forest"],
        "nearest, median": float(np.median(near)),
        "nearest, 1 %": float(np.quantile(near, 0.01)),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--updates", type=int, help="instead of seconds")
    parser.add_argument("--part", choices=("samples", "looks"), default="samples")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--looks", type=int, default=4, help="of --part looks")
    quiet = {"type": int, "nargs": "*", "default": [0, 4, 16], "help": "for each set of samples"}
    parser.add_argument("--steps-without-noise", **quiet)
    parser.add_argument("--sets", type=int, default=NUM_SETS, help="of samples, for a mean")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    data = ebmx.data.load("digits")
    if options.part == "looks":
        updates, num = 1200 if options.updates is None else options.updates, options.looks
        found = look_at_seeds(recipe("digits"), data, seeds, updates=updates, looks=num)
        write(options.json, {"looks": found, "config": recipe("digits")})
        return
    judge = Extractor(data)
    near = nearest_distances(flat(data.test), flat(data.train))
    unseen = areas(data.train, data.test, judge, options.sets)
    unseen |= {"nearest, median": float(np.median(near)), "nearest, 1 %": np.quantile(near, 0.01)}
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            length = {"seconds": options.seconds}
            if options.updates is not None:
                length = {"num_steps": options.updates}
            report = ebmx.runs.train(merge(recipe("digits"), length | {"seed": seed}), out=folder)
            run, rounded = ebmx.runs.open(folder), {}
            for steps in options.steps_without_noise:
                x, _ = ebmx.runs.sample(run, 4096, num_steps_without_noise=steps)
                rounded[steps] = figures_of(x, data, judge, options.sets)
        rows.append(
            {
                "seed": seed,
                "updates": report.num_updates,
                "seconds": round(report.seconds, 1),
                "frechet_ratio": report.frechet_ratio,
                "num_samples": len(report.samples),
                "samples_from": report.source,
            }
        )
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
        rows[-1]["rounded"] = rounded
        table = {f"{steps} steps without noise": row for steps, row in rounded.items()}
        for name, row in (table | {"training images, not samples": unseen}).items():
            print(f"{name:30s}" + "  ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
    ratio = statistics.median(row["frechet_ratio"] for row in rows)
    print(f"median Fréchet ratio of {len(rows)} seeds: {ratio:.3f}")
    figures = {"median_frechet_ratio": ratio, "runs": rows, "config": recipe("digits")}
    write(options.json, figures | {"real_images": unseen})


if __name__ == "__main__":
    main()
