"""The arguments of each script in its quick form and in its full form.

The full form is the command that the documents quote, where they do. A name is a script, with what
tells its commands apart after a colon. `DATA` stands for the folder that is given by `--data`.
"""

from typing import NamedTuple


class Forms(NamedTuple):
    """The arguments of both forms; `None` where a script lacks one."""

    quick: str | None
    full: str | None = ""


_ROWS = (
    "likelihood by quadrature",
    "levels, and noise-contrastive",
    "levels of noise",
    "noise-contrastive",
    "energy discrepancy",
    "probability flow",
    "sliced score matching",
    "denoising",
    "PCD, MALA and jumps, many chains",
    "Jarzynski, MALA and jumps",
    "PCD, tempered",
    "PCD, MALA",
    "PCD, Langevin",
)
_ONE_DENSITY = "--objective noise-contrastive --density 8gaussians --part 0.1 --seeds 1"
_MUTATION = "--only evaluation/samples/_calibration --num 600 --seeds 0 --target 0"
_CIFAR = "--data DATA/cifar10.npz --updates 2000 --looks 4 --seed 1 --more-steps 0 --quiet-steps 0"
_CONVNET = "--part convnet --updates 3000 --learning-rate 5e-4 --temperatures 10000"
_TEN = " ".join(map(str, range(10)))
_HELD_OUT = "--test-images DATA/mnist --minutes 0 --held-out all --held-out-updates"

FORMS: dict[str, Forms] = {
    "adaptation": Forms(""),
    "binary_digits": Forms("--updates 20 --temperatures 20 --more-steps 10", ""),
    "binary_digits: network": Forms(None, _CONVNET),
    "buffer": Forms(""),
    "cd_vs_pcd": Forms('--only "PCD, 10" --evaluations 320 --part 0.01'),
    "cifar10": Forms(None, _CIFAR),
    "conditional": Forms("--updates 5 --chain-steps 10", "--updates 1000"),
    "convergent": Forms("--score-updates 5 --updates 5 --longest 100"),
    "cost": Forms("--part 0.1"),
    "density2d": Forms(_ONE_DENSITY, None),
    **{f"density2d: {row}": Forms(None, f'--objective "{row}" --seeds 1') for row in _ROWS},
    "density2d: five seeds": Forms(None, '--objective "PCD, MALA and jumps"'),
    "digits": Forms(
        "--updates 20 --seeds 1 --steps-without-noise 0 --sets 1", "--updates 1300 --seeds 2"
    ),
    "digits: looks": Forms(None, "--part looks --seeds 100"),
    "discrete": Forms("--part small --sampler BlockGibbs --size 0.1"),
    "discrete: lattice": Forms(
        "--part lattice --sampler DMALA --size 0.01 --chains 16", "--part lattice --chains 64"
    ),
    "discrete: machine": Forms(None, "--part machine --size 0.5 --chains 128"),
    "ess": Forms('--only "double well" --sampler MALA'),
    "exactness": Forms("--only student --sampler HMC --num-samples 500"),
    "faults": Forms("--kills 2", "--kills 50"),
    "gpu": Forms("--small --rows chain-resnet", "--full"),
    "import_time": Forms("--repeats 1"),
    "increments": Forms(""),
    "jem": Forms("--updates 5", f"--updates 4000 --seeds {_TEN} --test-images DATA/mnist"),
    "jem: held out": Forms(None, f"{_HELD_OUT} 1000 --seeds 1"),
    "levels": Forms("composition --part 0.02", None),
    "levels: digits": Forms(None, "digits"),
    "levels: mixtures": Forms(None, "mixtures composition"),
    "levels: seeds": Forms(None, "seeds"),
    "likelihood": Forms(
        "--updates 20 --temperatures 20 --chains 32 --more-steps 10 --mixtures 1",
        "--updates 2500 --temperatures 2000",
    ),
    "limit": Forms("--only 16-32-64 --repeats 1"),
    "log_z": Forms('--only "flow, 2-D"'),
    "log_z: bias": Forms(None, "--seeds 20"),
    "matching": Forms(""),
    "matching: masses": Forms(None, "--part masses"),
    "matching: images": Forms(None, "--part images --test-images DATA/mnist"),
    "mnist": Forms("--updates 5", "--updates 3600 --test-images DATA/mnist"),
    "mnist: looks": Forms(None, "--part looks --test-images DATA/mnist"),
    "mnist: held out": Forms(None, f"{_HELD_OUT} 600"),
    "mutation": Forms(_MUTATION),
    "native": Forms("--only mnist_5k --repeats 1"),
    "peers": Forms(None, "--environments DATA/peers"),
    "record": Forms("--target banana --sampler Barker --budget 2000 --seeds 0"),
    "samplers": Forms('--only "double well 128" --repeats 1'),
    "scaling": Forms("--rows 2 --networks 1"),
    "soak": Forms("--updates 1000"),
    "ladders": Forms("--only DW4 --num-steps 2000", None),
    "ladders: DW4": Forms(None, "--only DW4 --num-steps 4000"),
    "ladders: LJ13": Forms(None, "--only LJ13 --num-steps 3000"),
    "ladders: many wells": Forms(None, '--only "many wells"'),
    "ladders: 40 modes": Forms(None, '--only "40 modes" --num-steps 8000'),
    "tempering": Forms("--num-samples 4000"),
}
