"""The arguments of the command line."""

import argparse
import sys
from pathlib import Path
from typing import Any

_OVER = """exit codes: 0 done, 1 failed on the way, 2 an argument does not fit or is missing,
130 ended by Ctrl-C; a training is saved then, and --resume goes on."""
_PARTS = """options of the config, by its place in the tables:
  --energy ConvNet --energy.channels "[32, 64]"
  --sampler MALA --sampler.step_size 0.1
  --negatives.capacity 1000 --loss.alpha 0.1 --optim.adam.b1 0.9
  --data.batch_size 64 --trainer.ema_decay 0.999
A part without a dot names its class and forgets the arguments of the old one.
`ebmx help sampler` lists the names, `ebmx help MALA` the arguments of one."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands but for the options of a config, which have a dot or a part."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        "ebmx",
        description="Energy-based models in JAX.",
        epilog=_OVER,
        formatter_class=plain,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, text: str, **options: Any) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=plain,
            allow_abbrev=False,
            **options,
        )
        made.set_defaults(command=name, parser=made)
        return made

    _add_train(command)
    _add_sample(command)
    _add_evaluate(command)
    command("recipes", "list the recipes")
    made = command("config", "print a config, or check one")
    made.add_argument("action", choices=("show", "check"))
    made.add_argument("file", nargs="?", type=Path, metavar="FILE")
    made.add_argument("--recipe", default="digits", metavar="NAME", help="which one to show")
    command("data", "list the data sets").add_argument("action", choices=("list",))
    made = command("help", "what a config may name, and the arguments of a class")
    made.add_argument("name", nargs="?", metavar="NAME")
    made = command("completion", "print a script that completes commands in a shell")
    made.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


def unknown_argument(word: str, parser: argparse.ArgumentParser) -> str:
    """What to say of an argument that a command does not take."""
    from .config._calls import nearest

    names = [name for action in parser._actions for name in action.option_strings]
    near = nearest(word, names) if word.startswith("-") else ""
    return f"{word}: {parser.prog} does not take this argument{near}; see `{parser.prog} --help`"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        print(f"ebmx: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)


def _version() -> str:
    from importlib import metadata

    return f"ebmx {metadata.version('ebmx')}"


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print errors and warnings alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object and no more")


def _add_train(command: Any) -> None:
    parser = command("train", "train an energy", epilog=_PARTS)
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="digits, mnist-5k, hf:NAME or a file; digits if not given",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--recipe", metavar="NAME", help="begin from this recipe")
    start.add_argument("--config", type=Path, metavar="FILE", help="begin from this TOML file")
    start.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--steps",
        "--num-steps",
        type=_count,
        metavar="N",
        help="how many updates; with --resume, in total",
    )
    length.add_argument(
        "--seconds", type=float, metavar="S", help="how long to train, without the time to compile"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="the folder of the run; the first free runs/NAME-N if not given",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="delete the run that --out holds, and nothing else there",
    )
    parser.add_argument("--seed", type=_seed, metavar="N", help="random seed")
    parser.add_argument(
        "--log-every", type=_count, metavar="N", help="updates between two lines of metrics"
    )
    parser.add_argument(
        "--devices", type=_count, metavar="N", help="N devices share the chains and the data"
    )
    _add_output(parser)


def _add_sample(command: Any) -> None:
    parser = command("sample", "draw samples of a trained run")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--num", type=_count, default=100, metavar="N", help="how many (100)")
    parser.add_argument(
        "--label",
        type=int,
        metavar="N",
        help="of which class, for a conditional energy or a classifier",
    )
    parser.add_argument(
        "--steps",
        "--num-steps",
        type=_count,
        metavar="N",
        help="start from noise and take so many steps",
    )
    parser.add_argument(
        "--steps-without-noise",
        type=int,
        default=0,
        metavar="N",
        help="so many steps without noise follow (Langevin)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="NAME.npz holds the array x in data units, NAME.png a picture of images; "
        "NAME.npy writes that array too; the first free samples-N if not given",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files of that name")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="random seed (0)")
    parser.epilog = (
        "--sampler MALA --sampler.step_size 0.1 takes another sampler, from noise, with --steps."
    )
    _add_output(parser)


def _add_evaluate(command: Any) -> None:
    text = "measure how good a trained run is; the report goes to RUN/evaluation"
    parser = command("evaluate", text)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument(
        "--steps",
        "--num-steps",
        type=_count,
        default=2000,
        metavar="N",
        help="how many steps long chains take from the test data (2000)",
    )
    parser.add_argument(
        "--num", type=_count, default=2000, metavar="N", help="how many samples to draw (2000)"
    )
    parser.add_argument(
        "--others",
        nargs="*",
        default=(),
        metavar="DATA",
        help="further data of the same shape to tell from those of the run",
    )
    parser.add_argument(
        "--log-z",
        action="store_true",
        help="bracket the log likelihood by annealing, which takes minutes",
    )
    parser.add_argument(
        "--steps-without-noise",
        type=int,
        default=0,
        metavar="N",
        help="so many last steps of the samples have no noise (Langevin)",
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="random seed (0)")
    _add_output(parser)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number from 0 to {2**32 - 1}")
    return int(text)


def config_options(arguments: list[str]) -> tuple[list[tuple[str, Any]], list[str]]:
    """The options that name a place in a config, with their values, and all other arguments."""
    from .config._calls import PARTS

    places, rest, i = [], [], 0
    while i < len(arguments):
        word, equals, value = arguments[i].partition("=")
        place = word.removeprefix("--").replace("-", "_")
        i += 1
        if not word.startswith("--") or ("." not in place and place not in PARTS):
            rest.append(arguments[i - 1])
            continue
        if not equals:
            if i == len(arguments) or arguments[i].startswith("--"):
                raise ValueError(f"{word}: give a value")
            value = arguments[i]
            i += 1
        places.append((place, _parsed(value)))
    return places, rest


def _parsed(text: str) -> Any:
    """A value as TOML writes it; any other text as it is."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return {"True": True, "False": False, "None": "none"}.get(text, text)
