"""What does a quarter of an hour on two cores make of 32×32 colour images?

Trains a small energy from scratch on the images of an `.npz` file with `train_images`,
`train_labels`, `test_images` and `test_labels`, such as a part of CIFAR-10, or on
`hf:uoft-cs/cifar10`. Reported are the Fréchet ratio of the persistent chains at several times of
the training (in features of a small classifier trained on the training images), the statistics of
colours of samples and of test images, and whether energies are ordered: data, samples, noise.
"""

from pathlib import Path

import numpy as np
from _common import arguments, write
from _images import Extractor, draw, energies, others_made_of, train_for

import ebmx
from ebmx.config import merge, recipe
from ebmx.evaluation import out_of_distribution
from ebmx.plotting import sample_grid

CONFIG = merge(
    recipe("digits"),
    {
        "data": {"batch_size": 64},
        "energy": {"channels": [24, 48, 64], "kernel_sizes": [3, 3, 3], "strides": [2, 2, 2]},
        "sampler": {"noise_scale": 0.01},
        "negatives": {"num_steps": 20, "capacity": 2048, "reinit_prob": 0.02},
        "trainer": {"augment": {"kind": "ebmx.data.RandomImage", "shift": 2}},
    },
)


def colours(x: np.ndarray) -> dict[str, list[float]]:
    """Means and deviations of the channels over all pixels, and correlations between them."""
    pixels = x.reshape(-1, x.shape[-1]).astype(np.float64)
    correlation = np.atleast_2d(np.corrcoef(pixels, rowvar=False))
    pairs = correlation[np.triu_indices(x.shape[-1], 1)]
    # neighbours on a line are alike in natural images, and independent in noise
    left, right = x[:, :, :-1].reshape(-1), x[:, :, 1:].reshape(-1)
    return {
        "mean": pixels.mean(0).tolist(),
        "deviation": pixels.std(0).tolist(),
        "correlation": pairs.tolist(),
        "neighbours": [float(np.corrcoef(left, right)[0, 1])],
        "covariance": np.cov(pixels, rowvar=False).reshape(-1).tolist(),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", required=True, help="an .npz file, or hf:uoft-cs/cifar10")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--updates", type=int, help="instead of minutes")
    parser.add_argument("--looks", type=int, default=6, help="points of the curve")
    parser.add_argument("--more-steps", type=int, default=20, help="of the chains, in the end")
    parser.add_argument("--quiet-steps", type=int, default=5, help="without noise, after these")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--alpha", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="write a picture of samples to this file")
    options = parser.parse_args()
    data = ebmx.data.load(options.data)
    changes = {
        "seed": options.seed,
        "data": {"name": options.data},
        "loss": {"alpha": options.alpha},
    }
    config = merge(CONFIG, changes)
    config["optim"][1]["learning_rate"] = options.learning_rate
    judge = Extractor(data)
    print(f"the classifier tells {100 * judge.accuracy:.1f} % right")
    curve: list[dict[str, float]] = []

    def look(state, seconds):
        x = np.asarray(state.negatives_state.positions)
        curve.append({"updates": int(state.step), "seconds": seconds, "ratio": judge.ratio(x)})
        print("  ".join(f"{k} {v:.2f}" for k, v in curve[-1].items()), flush=True)

    trained = train_for(
        config, data, 60 * options.minutes, updates=options.updates, looks=options.looks, look=look
    )
    look(trained.state, trained.seconds)
    steps, quiet = options.more_steps, options.quiet_steps
    x = draw(config, trained, config["negatives"]["capacity"], steps=steps, quiet=quiet)
    score, others = energies(trained.energy), others_made_of(data.test)
    groups = {
        "training data": data.train[:2000],
        "test data": data.test,
        "persistent chains": np.asarray(trained.state.negatives_state.positions),
        "samples": x,
        "uniform noise": others["uniform noise"],
    }
    found = {name: score(images) for name, images in groups.items()}
    means = {name: float(e.mean()) for name, e in found.items()}
    means |= {f"{name}, deviation": float(e.std()) for name, e in found.items()}
    inside = found["test data"]
    outside = {k: out_of_distribution(inside, score(v)).auroc for k, v in others.items()}
    samples = judge.figures(x)
    tints = {"samples": colours(x), "test data": colours(data.test)}
    print(
        f"{trained.updates} updates, {int(trained.state.skipped)} skipped, {trained.seconds} s, "
        f"{trained.cpu_seconds} s of CPU"
    )
    for title, row in {"samples": samples, "energies": means, "AUROC": outside}.items():
        for name, value in row.items():
            print(f"{title:10s}{name:36s}{value:9.3f}")
    for name, row in tints.items():
        for kind, values in row.items():
            print(f"{name:12s}{kind:14s}" + "".join(f"{v:8.3f}" for v in values))
    if options.plot is not None:
        sample_grid(
            {"samples": x[:64], "test images": data.test[:64]}, num_columns=8, num_rows=8
        ).savefig(options.plot)
    figures = {
        "updates": trained.updates, "planned": trained.planned, "seconds": trained.seconds,
        "cpu_seconds": trained.cpu_seconds,
        "skipped": int(trained.state.skipped), "curve": curve, "samples": samples,
        "energies": means, "auroc": outside, "colours": tints,
        "config": config,
    }  # fmt: skip
    write(options.json, figures)


if __name__ == "__main__":
    main()
