"""How good are the digits after a minute of training?

Trains the default recipe for some seconds on the embedded digits, for some seeds, and prints the
Fréchet ratio: the distance of 4,096 samples to the test images over the distance of the training
images to them, in the penultimate features of a small classifier trained on the training images.
"""

import dataclasses
import statistics
import tempfile

from _common import arguments, write

from ebmx.config import RunConfig, train_run


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            config = RunConfig(seconds=options.seconds, seed=seed, out=folder)
            report = train_run(config)
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
    ratio = statistics.median(row["frechet_ratio"] for row in rows)
    print(f"median Fréchet ratio of {len(rows)} seeds: {ratio:.3f}")
    config = dataclasses.asdict(RunConfig())
    write(options.json, {"median_frechet_ratio": ratio, "runs": rows, "config": config})


if __name__ == "__main__":
    main()
