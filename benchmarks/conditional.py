"""Do labelled models make the class that is asked for, and still tell classes apart?

On the embedded digits: a conditional energy `E(x, y)` trained by persistent contrastive divergence
whose chains keep their labels, and a classifier trained as an energy (JEM). Reported are how often
a classifier trained on the real digits agrees with the label asked for, the Fréchet ratio of the
samples, and for JEM its accuracy and calibration on the test digits. Then composition: chains under
the sum of two conditional energies, and under one class but not another.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write

import ebmx
from ebmx.config import frechet_judge
from ebmx.energies import JEM, Conditional, ConvNetwork, freeze
from ebmx.samplers import Langevin
from ebmx.training import (
    PCD,
    NoProgress,
    Trainer,
    UniformNoise,
    contrastive_loss,
    cross_entropy,
    train_classifier,
    weighted_sum,
)

LABELS = 10
CHAINS = Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))


def train(model, loss, num_labels, digits, num_steps, seed):
    """A model trained on labelled digits by persistent chains."""
    model_key, chain_key, data_key, fit_key = jax.random.split(jax.random.key(seed), 4)
    schedule = optax.cosine_decay_schedule(4e-3, num_steps)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=0.0))
    negatives = PCD(CHAINS, 30, 4096, 0.05, num_labels=num_labels)
    trainer = Trainer(optim, negatives, loss, ema_decay=0.99, data_noise=0.03)
    batches = ebmx.data.batches(digits.train, 128, labels=digits.train_labels, key=data_key)
    state = trainer.init(model(model_key), key=chain_key)
    return ebmx.fit(
        trainer, state, batches, num_steps=num_steps, key=fit_key, progress=NoProgress()
    )[0]


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """The expected calibration error: mean |accuracy − confidence| over bins of confidence."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(right[place == b].mean() - confidence[place == b].mean()) * np.mean(place == b)
        for b in range(bins)
        if np.any(place == b)
    ]
    return float(sum(gaps))


def composed(energy, classify, key, num: int = 256):
    """How often chains under a composed energy end where they should."""
    noise = jax.vmap(lambda k: UniformNoise().sample(energy.shape, key=k))
    start = noise(jax.random.split(key, num))

    def share(model, wanted):
        x, _ = ebmx.run(model, CHAINS, start, num_steps=300, key=key)
        return float(np.isin(classify(x).argmax(1), wanted).mean())

    three, eight, one = (energy.at(k) for k in (3, 8, 1))
    return {
        "3 and 8, says 3 or 8": share(three + eight, (3, 8)),
        "1, says 1": share(one, (1,)),
        "8 but not 3, says 8": share(eight - 0.5 * three, (8,)),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--updates", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    digits = ebmx.data.load("digits")
    assert digits.train_labels is not None
    assert digits.test_labels is not None
    judge = frechet_judge(digits)
    assert judge is not None
    classifier = train_classifier(digits.train, digits.train_labels, key=jax.random.key(9))
    classify = jax.jit(jax.vmap(classifier))
    contrastive = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05))
    shape = digits.shape

    def network(size, key):
        return ConvNetwork(shape, size, (64, 64), hidden_dims=(64,), key=key)

    def conditional(key):
        network_key, head_key = jax.random.split(key)
        return Conditional(network(64, network_key), num_labels=LABELS, key=head_key)

    state = train(conditional, contrastive, LABELS, digits, options.updates, options.seed)
    buffer, key = state.negatives_state, jax.random.key(options.seed)
    x, index = buffer.draw(buffer.capacity, key=key)
    asked = np.asarray(buffer.labels[index])
    figures = {
        "conditional": {
            "classifier_agrees": float((np.asarray(classify(x)).argmax(1) == asked).mean()),
            "frechet_ratio": judge(np.asarray(x)),
        },
        "composition": composed(freeze(state.energy), classify, key),
    }
    loss = weighted_sum((1.0, contrastive), (1.0, cross_entropy))
    state = train(lambda k: JEM(network(LABELS, k)), loss, None, digits, options.updates, 0)
    logits = jax.jit(jax.vmap(state.ema.logits))(digits.test)
    probabilities = np.asarray(jax.nn.softmax(logits))
    x, _ = state.negatives_state.draw(4096, key=key)
    figures["JEM"] = {
        "accuracy": float((probabilities.argmax(1) == digits.test_labels).mean()),
        "calibration_error": calibration_error(probabilities, digits.test_labels),
        "frechet_ratio": judge(np.asarray(x)),
    }
    for name, row in figures.items():
        print(f"{name:14s}" + "".join(f"{key:>24s} {value:.3f}" for key, value in row.items()))
    write(options.json, figures)


if __name__ == "__main__":
    main()
