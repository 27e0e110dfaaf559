"""Do labelled models make the class that is asked for, and still tell classes apart?

On the embedded digits: a conditional energy `E(x, y)` trained by persistent contrastive divergence
whose chains keep their labels, and a classifier trained as an energy (JEM). Reported are how often
a classifier trained on the real digits agrees with the label asked for, the Fréchet ratio of the
samples, and for JEM, by the contrastive loss and by its binary form, the accuracy and calibration
on the test digits. Then composition: chains under
the sum of two conditional energies, and under one class but not another.

Larger images are in `jem.py`.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write

import ebmx
from ebmx.energies import JEM, Conditional, ConvNet, Marginal, freeze
from ebmx.evaluation import calibration_error, train_classifier
from ebmx.runs.report._features import frechet_ratio_for
from ebmx.samplers import Langevin
from ebmx.training import (
    PCD,
    Trainer,
    UniformNoise,
    WeightedSum,
    binary_contrastive_loss,
    contrastive_loss,
    cross_entropy_loss,
)

LABELS = 10
CONTRASTIVE = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05))
CHAINS = Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))


def train(model, loss, num_labels, digits, num_steps, seed):
    """A model trained on labelled digits by persistent chains."""
    model_key, chain_key, data_key, fit_key = jax.random.split(jax.random.key(seed), 4)
    schedule = optax.cosine_decay_schedule(4e-3, num_steps)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=0.0))
    shares = None if num_labels is None else np.bincount(digits.train_labels, minlength=num_labels)
    negatives = PCD(CHAINS, 30, 4096, 0.05, num_labels=num_labels, label_weights=shares)
    trainer = Trainer(optim, negatives, loss, ema_decay=0.99, data_noise=0.03)
    batches = ebmx.data.batches(digits.train, 128, labels=digits.train_labels, key=data_key)
    state = trainer.init(model(model_key), key=chain_key)
    return ebmx.fit(trainer, state, batches, num_steps=num_steps, key=fit_key, progress=False)[0]


def composed(energy, classify, key, num_steps, num: int = 256):
    """How often chains under a composed energy end where they should."""
    noise = jax.vmap(lambda k: UniformNoise().sample(energy.shape, key=k))
    start = noise(jax.random.split(key, num))

    def share(model, wanted):
        x, _ = ebmx.run(model, CHAINS, start, num_steps=num_steps, key=key)
        return float(np.isin(classify(x).argmax(1), wanted).mean())

    three, eight, one = (energy.at(k) for k in (3, 8, 1))
    anything = Marginal(energy)
    return {
        "3 and 8, says 3 or 8": share(three + eight, (3, 8)),
        "1, says 1": share(one, (1,)),
        "any, says 3": share(anything, (3,)),
        "any but 3, says 3": share(anything - 0.25 * three, (3,)),
        "8 but not 3, says 8": share(eight - 0.25 * three, (8,)),
    }


def conditional_digits(digits, classify, judge, num_steps, chain_steps, seed):
    """The figures of a conditional energy, and of what can be composed of it."""

    def model(key):
        network_key, head_key = jax.random.split(key)
        network = ConvNet(digits.shape, (64, 64), out_size=64, key=network_key)
        return Conditional(network, num_labels=LABELS, key=head_key)

    state = train(model, CONTRASTIVE, LABELS, digits, num_steps, seed)
    buffer, key = state.negatives_state, jax.random.key(seed)
    chains = buffer.draw(buffer.capacity, key=key)
    x, asked = chains.x, np.asarray(chains.labels)
    own = {
        "classifier_agrees": float((np.asarray(classify(x)).argmax(1) == asked).mean()),
        "frechet_ratio": judge(np.asarray(x)),
    }
    return own, composed(freeze(state.energy), classify, key, chain_steps)


def hybrid(data, loss, judge, num_steps, seed):
    """The figures of a classifier trained as an energy, by one of the contrastive losses."""

    def model(key):
        return JEM(ConvNet(data.shape, (64, 64), out_size=LABELS, key=key))

    loss = WeightedSum((loss, cross_entropy_loss), (1.0, 1.0))
    begin = time.perf_counter()
    state = train(model, loss, None, data, num_steps, seed)
    seconds = time.perf_counter() - begin
    logits = jax.jit(jax.vmap(state.ema.logits))(data.test)
    probabilities = np.asarray(jax.nn.softmax(logits))
    x = state.negatives_state.draw(4096, key=jax.random.key(seed)).x
    return {
        "accuracy": float((probabilities.argmax(1) == data.test_labels).mean()),
        "calibration_error": calibration_error(probabilities, data.test_labels),
        "frechet_ratio": judge(np.asarray(x)),
        "skipped": int(state.skipped),
        "seconds": seconds,
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--updates", type=int, default=1200)
    parser.add_argument("--chain-steps", type=int, default=300, help="under composed energies")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = ebmx.data.load("digits")
    assert data.train_labels is not None
    judge = frechet_ratio_for(data)
    assert judge is not None
    classifier = train_classifier(data.train, data.train_labels, key=jax.random.key(9))
    classify = jax.jit(jax.vmap(classifier))
    own, parts = conditional_digits(
        data, classify, judge, options.updates, options.chain_steps, options.seed
    )
    figures = {"conditional": own, "composition": parts}
    for name, loss in {"JEM": CONTRASTIVE, "JEM, binary": binary_contrastive_loss}.items():
        figures[name] = hybrid(data, loss, judge, options.updates, options.seed)
    for name, row in figures.items():
        print(f"{name:14s}" + "".join(f"{key:>24s} {value:.3f}" for key, value in row.items()))
    write(options.json, figures)


if __name__ == "__main__":
    main()
