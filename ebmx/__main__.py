"""The command line: `ebmx train` and `ebmx sample`."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    try:
        import tyro
    except ImportError:
        print("the command line needs tyro: pip install 'ebmx[cli]'", file=sys.stderr)
        return 2
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"train": _train, "sample": _sample}
    if not arguments or arguments[0] not in commands:
        print(_USAGE, file=sys.stdout if arguments[:1] in (["-h"], ["--help"]) else sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        return commands[arguments[0]](tyro, arguments[1:])
    except (ValueError, ImportError) as error:
        print(f"ebmx: {error}", file=sys.stderr)
        return 2


_USAGE = """usage: ebmx train [DATA] [options]     train an energy and draw it; default: digits
       ebmx sample RUN [options]     draw samples of a trained run
`ebmx train --help` and `ebmx sample --help` list the options."""


def _train(tyro, arguments: list[str]) -> int:
    from .config import RunConfig, default_config, train_run

    data = "digits"
    if arguments and not arguments[0].startswith("-"):
        data, *arguments = arguments
    config = tyro.cli(
        RunConfig, prog="ebmx train [DATA]", args=arguments, default=default_config(data)
    )
    report = train_run(config)
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


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """Draw samples of a trained run."""

    num: int = 100
    """How many."""
    out: Path = Path("samples.npz")
    """Where to: an npz file with the array `x` in data units; a picture is put beside it."""
    seed: int = 0
    """Of everything random."""


def _sample(tyro, arguments: list[str]) -> int:
    import numpy as np

    from .config import sample_run
    from .plotting import sample_grid

    def command(run: Annotated[Path, tyro.conf.Positional], options: SampleOptions) -> None:
        samples, dataset, source = sample_run(run, options.num, seed=options.seed)
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


if __name__ == "__main__":
    sys.exit(main())
