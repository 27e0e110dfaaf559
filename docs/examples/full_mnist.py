# %% [markdown]
# # How do I train on MNIST in full?
#
# By one command: `ebmx train mnist-5k` takes 5,000 digits from a package, `ebmx train hf:ylecun/mnist` all 60,000 from
# the Hugging Face hub, `--recipe uva_mnist` a published recipe, `--seconds 3600` an hour. The same from Python is below,
# shortened to a minute. The 5,000 digits come with a package, `pip install 'ebmx[data]'`.

# %%
# %matplotlib inline
from pathlib import Path

import numpy as np

import ebmx
from ebmx.config import merge, recipe
from ebmx.evaluation import energy_distance
from ebmx.plotting import sample_grid, training_curves

# %% [markdown]
# A recipe is a whole config, in nested tables. `merge` replaces what is to be different; `ebmx.runs.check` traces one update
# before anything is trained, and names what does not fit.

# %%
config = merge(recipe("mnist_5k"), {"data": {"name": "mnist-5k"}, "seconds": 60.0})
assert ebmx.runs.check(config) == ""  # nothing that does not fit
report = ebmx.runs.train(config, out="full_mnist", overwrite=True, progress=False)
print(f"{report.num_updates} updates in {report.seconds:.0f} s; samples: {report.source}")
if report.frechet_ratio is not None:
    print(
        f"Fréchet ratio {report.frechet_ratio:.1f}; 1 is as near to test images as training images"
    )

# %% [markdown]
# All of it is in the folder of the run: the config, the metrics, checkpoints, samples. A run that was killed goes on by
# `ebmx train --resume full_mnist`, bit for bit; `ebmx evaluate full_mnist` writes a report on how good it is. In Python,
# `ebmx.runs.open` gives the trained energy and all that belongs to it.

# %%
print(sorted(path.name for path in Path("full_mnist").iterdir()))
run = ebmx.runs.open("full_mnist")
history, dataset = run.history, run.data()
samples, source = ebmx.runs.sample(run, 50, seed=1)
print(samples.shape, source)


def distance(x):
    """The energy distance to test images, 0 for equal distributions."""
    flat = (len(dataset.test), 784)
    return energy_distance(np.reshape(x, (len(x), 784)), np.reshape(dataset.test, flat))


noise = np.random.default_rng(0).uniform(-1, 1, samples.shape)
x, _ = ebmx.runs.sample(run, 1024)
print(f"distance to test images: noise {distance(noise):.1f}, samples {distance(x):.1f}")

# %%
figure = sample_grid({"samples": samples, "real": dataset.test[:50]}, num_rows=5)
figure.savefig("full_mnist.png")
figure

# %%
names = ["real_energy_mean", "fake_energy_mean", "chain_grad_norm"]
figure = training_curves(history, steps=history["step"], names=names, title="MNIST")
figure.savefig("full_mnist-training.png")
figure
