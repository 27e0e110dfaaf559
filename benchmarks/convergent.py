"""Do long chains stay where the data are, if an energy was trained to be a density?

Most image models are trained with short, cold chains: they shape a sampler, and long chains at
T = 1 leave the data. Here the embedded digits with Gaussian noise are learnt in two stages: the
score by denoising, quick and right near the data; then the density, by persistent contrastive
divergence with Langevin's chains at T = 1, which start at noisy data and are never restarted. The
second stage has a small learning rate, since chains can only follow an energy that changes slowly,
and many chains, since each update fits the energy to what so many of them happen to be: with 1,024
of them classes have shares that are wrong by a fifth, where long chains then go.

Then chains of the same sampler start at all training images, four times each with fresh noise, and
take 10,000 steps. Reported is the Fréchet ratio on the way, against test images with noise, eight
times each: at the start it is about 1, and it should change by less than a tenth. Fewer chains and
images than these make the ratio itself vary by a tenth.
"""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write

import ebmx
from ebmx.energies import ConvNet, freeze
from ebmx.evaluation import frechet_distance, train_classifier
from ebmx.samplers import Langevin
from ebmx.training import (
    PCD,
    Perturbed,
    Trainer,
    contrastive_loss,
    denoising_score_matching_loss,
)

STEPS = (0, 100, 1_000, 3_000, 10_000)


def optimiser(learning_rate: float, updates: int, b1: float) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(learning_rate, updates)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=b1))


def learn_the_score(energy: Any, images: np.ndarray, sigma: float, updates: int, key: Any) -> Any:
    """The energy after denoising score matching."""
    state_key, data_key, fit_key = jax.random.split(key, 3)
    loss = eqx.Partial(denoising_score_matching_loss, sigma=jnp.asarray(sigma))
    trainer = Trainer(optimiser(2e-3, updates, 0.9), Perturbed(sigma), loss, ema_decay=0.995)
    state, _ = ebmx.fit(
        trainer, trainer.init(energy, key=state_key),
        ebmx.data.batches(images, 128, key=data_key),
        num_steps=updates, key=fit_key, progress=False,
    )  # fmt: skip
    return state.ema


def learn_the_density(energy: Any, images: np.ndarray, options: Any, key: Any) -> Any:
    """The state of a training with chains at T = 1."""
    state_key, fill_key, data_key, fit_key = jax.random.split(key, 4)
    chains = Langevin(0.25 * options.noise**2)
    trainer = Trainer(
        optimiser(options.learning_rate, options.updates, 0.0),
        PCD(chains, options.chain_steps, options.capacity, 0.0),
        eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.0)),
        ema_decay=options.ema_decay,
        data_noise=options.noise,
    )
    state = trainer.init(energy, key=state_key)
    pick_key, noise_key, fill_key = jax.random.split(fill_key, 3)
    picked = jax.random.choice(pick_key, jnp.asarray(images), (options.capacity,))
    noisy = picked + options.noise * jax.random.normal(noise_key, picked.shape)
    buffer = state.negatives_state.fill(noisy, key=fill_key)
    state = eqx.tree_at(lambda s: s.negatives_state, state, buffer)
    state, _ = ebmx.fit(
        trainer, state, ebmx.data.batches(images, 512, key=data_key),
        num_steps=options.updates, key=fit_key, progress=False,
    )  # fmt: skip
    return state


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--score-updates", type=int, default=1000)
    parser.add_argument("--updates", type=int, default=5000)
    parser.add_argument("--noise", type=float, default=0.4, help="of the data, in units of them")
    parser.add_argument("--chain-steps", type=int, default=10)
    parser.add_argument("--capacity", type=int, default=8192, help="how many persistent chains")
    parser.add_argument("--ema-decay", type=float, default=0.999)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=int, default=STEPS[-1], help="chain, in steps")
    options = parser.parse_args()
    model_key, score_key, density_key, key = jax.random.split(jax.random.key(options.seed), 4)
    digits = ebmx.data.load("digits")
    network = ConvNet(digits.shape, (64, 64), hidden_dims=(128,), key=model_key)
    # E = 10 f(x) + |x|² / 2: a density that falls off, and soon moves
    energy: Any = 10.0 * network + ebmx.energies.Gaussian(jnp.zeros(digits.shape), 1.0)
    begin = time.perf_counter()
    if options.score_updates:
        sigma, updates = options.noise, options.score_updates
        energy = learn_the_score(energy, digits.train, sigma, updates, score_key)
    state = learn_the_density(energy, digits.train, options, density_key)
    seconds = time.perf_counter() - begin
    print(f"{seconds:.0f} s of training", flush=True)

    def noisy(images, key, times=1):
        repeated = jnp.tile(jnp.asarray(images), (times, 1, 1, 1))
        return repeated + options.noise * jax.random.normal(key, repeated.shape)

    labels = digits.train_labels
    assert labels is not None
    train_key, test_key, start_key, run_key = jax.random.split(key, 4)
    classifier = train_classifier(
        np.asarray(noisy(digits.train, train_key)), labels, key=jax.random.key(0)
    )

    @jax.jit
    def features(x):
        return jax.lax.map(classifier.features, x, batch_size=1024)

    test = np.asarray(features(noisy(digits.test, test_key, 8)))
    train = np.asarray(features(noisy(digits.train, train_key, 4)))
    unit = frechet_distance(train, test)
    fixed, x = freeze(state.ema), noisy(digits.train, start_key, 4)
    chains = Langevin(0.25 * options.noise**2)
    ratios: dict[int, float] = {}
    steps = [num for num in STEPS if num <= options.longest]
    for before, after in zip([0, *steps], steps, strict=False):
        if after > before:
            step_key = jax.random.fold_in(run_key, after)
            x, _ = ebmx.run(fixed, chains, x, num_steps=after - before, key=step_key)
        ratios[after] = frechet_distance(np.asarray(features(x)), test) / unit
        print(f"{after:6d} steps: ratio {ratios[after]:.3f}", flush=True)
    own = frechet_distance(np.asarray(features(state.negatives_state.positions)), test) / unit
    change = ratios[steps[-1]] / ratios[0] - 1
    print(f"change {change:+.3f}; persistent chains {own:.3f}", flush=True)
    figures = {"ratios": ratios, "change": change, "persistent": own, "seconds": seconds}
    write(options.json, figures | {"skipped": int(state.skipped), "updates": options.updates})


if __name__ == "__main__":
    main()
