"""Do long chains stay where the data are, if an energy was trained to be a density?

Most image models are trained with short, cold chains: they shape a sampler, and long chains at
T = 1 leave the data. Here the chains of persistent contrastive divergence are Langevin's at T = 1,
never restarted, on the embedded digits with Gaussian noise. Then chains of the same sampler start
at noisy training images and take 10,000 steps. Reported is the Fréchet ratio on the way, against
noisy test images: at the start it is near 1, and it should change by less than a tenth.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write

import ebmx
from ebmx.energies import ConvNet, freeze
from ebmx.evaluation import frechet_distance
from ebmx.samplers import Langevin
from ebmx.training import PCD, NoProgress, Trainer, contrastive_loss, train_classifier

STEPS = (0, 100, 1_000, 3_000, 10_000)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--updates", type=int, default=4000)
    parser.add_argument("--noise", type=float, default=0.15, help="of the data, in units of them")
    parser.add_argument("--chain-steps", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model_key, chain_key, data_key, fit_key, key = jax.random.split(jax.random.key(options.seed), 5)
    digits = ebmx.data.load("digits")
    chains = Langevin(0.25 * options.noise**2)
    schedule = optax.cosine_decay_schedule(options.learning_rate, options.updates)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=0.0))
    trainer = Trainer(
        optim,
        PCD(chains, options.chain_steps, 2048, 0.0),
        eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.0)),
        ema_decay=0.99,
        data_noise=options.noise,
    )
    network = ConvNet(digits.shape, (64, 64), hidden_dims=(128,), key=model_key)
    # E = 10 f(x) + |x|² / 2: chains begin in a density that falls off, and soon move
    energy = 10.0 * network + ebmx.energies.Gaussian(jnp.zeros(digits.shape), 1.0)
    begin = time.perf_counter()
    batches = ebmx.data.batches(digits.train, 128, key=data_key)
    state, _ = ebmx.fit(
        trainer, trainer.init(energy, key=chain_key), batches,
        num_steps=options.updates, key=fit_key, progress=NoProgress(),
    )  # fmt: skip
    seconds = time.perf_counter() - begin

    def noisy(images, key):
        return jnp.asarray(images) + options.noise * jax.random.normal(key, images.shape)

    labels = digits.train_labels
    assert labels is not None
    train_key, test_key, start_key, run_key = jax.random.split(key, 4)
    train = noisy(digits.train, train_key)
    classifier = train_classifier(np.asarray(train), labels, key=jax.random.key(0))
    features = jax.jit(jax.vmap(classifier.features))
    test = np.asarray(features(noisy(digits.test, test_key)))
    unit = frechet_distance(np.asarray(features(train)), test)
    fixed, x = freeze(state.ema), noisy(digits.train[:1024], start_key)
    ratios: dict[int, float] = {}
    for before, after in zip((0, *STEPS), STEPS, strict=False):
        if after > before:
            step_key = jax.random.fold_in(run_key, after)
            x, _ = ebmx.run(fixed, chains, x, num_steps=after - before, key=step_key)
        ratios[after] = frechet_distance(np.asarray(features(x)), test) / unit
        print(f"{after:6d} steps: ratio {ratios[after]:.3f}", flush=True)
    own = frechet_distance(np.asarray(features(state.negatives_state.positions)), test) / unit
    change = ratios[STEPS[-1]] / ratios[0] - 1
    print(f"change {change:+.3f}; persistent chains {own:.3f}; {seconds:.0f} s of training")
    figures = {"ratios": ratios, "change": change, "persistent": own, "seconds": seconds}
    write(options.json, figures | {"skipped": int(state.skipped), "updates": options.updates})


if __name__ == "__main__":
    main()
