"""The command line: `ebmx train`, `ebmx sample`, `ebmx evaluate` and `ebmx config`."""

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    try:
        import tyro
    except ImportError:
        print("the command line needs tyro: pip install 'ebmx[cli]'", file=sys.stderr)
        return 2
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"train": _train, "sample": _sample, "evaluate": _evaluate, "config": _config}
    if not arguments or arguments[0] not in commands:
        print(_USAGE, file=sys.stdout if arguments[:1] in (["-h"], ["--help"]) else sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        return commands[arguments[0]](tyro, arguments[1:])
    except (ValueError, ImportError) as error:
        print(f"ebmx: {error}", file=sys.stderr)
        return 2


_USAGE = """usage: ebmx train [DATA] [--recipe NAME] [--devices N] [options]    train an energy
       ebmx train --resume RUN                        go on with a run that was ended
       ebmx sample RUN [options]                      draw samples of a trained run
       ebmx evaluate RUN [options]                    measure how good a trained run is
       ebmx config show [--recipe NAME]               print a config and what it means
       ebmx config check FILE                         say whether a config can be run
DATA is digits if not given. With --devices, so many share the chains and the data.
`ebmx train --help`, and so for the others, lists the options."""


def _train(tyro, arguments: list[str]) -> int:
    from .config import RunConfig, default_config, forget_unread, recipe, resume_run, train_run

    devices, arguments = _take("--devices", arguments)
    mesh = None if devices is None else _mesh(devices)
    run, arguments = _take("--resume", arguments)
    if run is not None:
        if arguments:
            raise ValueError(f"--resume goes with no option but --devices, not {arguments[0]}")
        return _print_report(resume_run(run, mesh=mesh))
    name, arguments = _take("--recipe", arguments)
    data = None
    if arguments and not arguments[0].startswith("-"):
        data, *arguments = arguments
    base = default_config(data or "digits") if name is None else recipe(name)
    if data is not None:
        base = dataclasses.replace(base, data=dataclasses.replace(base.data, name=data))
    prog = "ebmx train [DATA] [--recipe NAME]"
    config = tyro.cli(RunConfig, prog=prog, args=arguments, default=base)
    return _print_report(train_run(forget_unread(config, base), mesh=mesh))


def _mesh(devices: str) -> Any:
    """So many devices; on a CPU, so many parts of it, if JAX is not in use yet."""
    import jax

    if not devices.isdecimal() or int(devices) < 1:
        raise ValueError(f"--devices={devices}: give a whole number of at least 1")
    num = int(devices)
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", num)
    if num > len(jax.devices()):
        raise ValueError(f"--devices={num}: there are {len(jax.devices())}")
    return jax.make_mesh((num,), ("data",), devices=jax.devices()[:num])


def _print_report(report: Any) -> int:
    how = "interrupted after" if report.interrupted else "trained for"
    print(f"{how} {report.num_updates} updates in {report.seconds:.1f} s")
    for picture in report.pictures:
        print(f"picture: {picture}")
    if report.frechet_ratio is None:
        print("Fréchet ratio: not computed, the data set has no labels to train a classifier on")
    else:
        print(
            f"Fréchet ratio: {report.frechet_ratio:.3f} "
            f"({len(report.samples)} samples: {report.source})"
        )
    return 0


def _take(option: str, arguments: list[str]) -> tuple[str | None, list[str]]:
    """The value of an option, if it is given, and the other arguments."""
    for i, argument in enumerate(arguments):
        word, _, value = argument.partition("=")
        if word == option:
            rest = arguments[i + 1 :]
            if not value and not rest:
                raise ValueError(f"{option}: give a name")
            return value or rest[0], arguments[:i] + (rest if value else rest[1:])
    return None, arguments


def _config(tyro, arguments: list[str]) -> int:
    from .config import RECIPES, check_config, read_config, recipe, show_config

    del tyro
    name, arguments = _take("--recipe", arguments)
    if arguments == ["show"]:
        config = recipe(name or "digits")
        print(show_config(config, RECIPES[name or "digits"].description), end="")
        return 0
    if len(arguments) == 2 and arguments[0] == "check" and name is None:
        left_out = check_config(read_config(arguments[1]))
        print(f"{arguments[1]}: this config can be run{left_out and f'; {left_out}'}")
        return 0
    wrong = arguments not in (["-h"], ["--help"])
    print(_USAGE, file=sys.stderr if wrong else sys.stdout)
    return 2 if wrong else 0


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """Draw samples of a trained run."""

    num: int = 100
    """How many."""
    label: int | None = None
    """Of which class, if the energy is conditional or a classifier."""
    denoise: int = 0
    """How many steps without noise the chains take at last."""
    out: Path = Path("samples.npz")
    """Where to: an npz file with the array `x` in data units; a picture is put beside it."""
    seed: int = 0
    """Of everything random."""


def _sample(tyro, arguments: list[str]) -> int:
    import numpy as np

    from .config import sample_run
    from .plotting import sample_grid

    def command(run: Annotated[Path, tyro.conf.Positional], options: SampleOptions) -> None:
        samples, dataset, source = sample_run(
            run,
            options.num,
            label=options.label,
            denoise=options.denoise,
            seed=options.seed,
        )
        options.out.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(options.out, x=dataset.to_units(samples))
        print(f"{options.num} samples ({source}): {options.out}")
        if samples.ndim == 4 and samples.shape[-1] in (1, 3):
            picture = options.out.with_suffix(".png")
            sample_grid({"samples of the model": samples}).savefig(picture)
            print(f"picture: {picture}")

    config = (tyro.conf.OmitArgPrefixes,)
    tyro.cli(command, prog="ebmx sample", args=arguments, config=config)
    return 0


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Measure how good a trained run is; `report.md` and `report.json` go to RUN/evaluation."""

    steps: int = 2000
    """How many steps the long chains take that start at the test data."""
    num: int = 2000
    """How many samples are judged."""
    others: tuple[str, ...] = ()
    """Further data sets of the same shape, whose examples are to be told from those of the run."""
    log_z: bool = False
    """Bracket the log likelihood by annealing, which takes minutes."""
    denoise: int = 0
    """How many steps without noise the samples take at last."""
    seed: int = 0
    """Of everything random."""


def _evaluate(tyro, arguments: list[str]) -> int:
    from .config import evaluate_run

    def command(run: Annotated[Path, tyro.conf.Positional], options: EvaluateOptions) -> None:
        found = evaluate_run(
            run,
            num_steps=options.steps,
            num=options.num,
            others=options.others,
            log_z=options.log_z,
            denoise=options.denoise,
            seed=options.seed,
        )
        for picture in found.pictures:
            print(f"picture: {picture}")
        print(f"report: {found.folder / 'report.md'} ({found.seconds:.1f} s)")

    config = (tyro.conf.OmitArgPrefixes,)
    tyro.cli(command, prog="ebmx evaluate", args=arguments, config=config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
