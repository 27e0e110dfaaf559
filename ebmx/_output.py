"""Prints results as text, as JSON, or not at all; notices and warnings go to standard error."""

import argparse
import contextlib
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from ._json import finite


def say(options: argparse.Namespace, facts: dict[str, Any], *lines: str) -> None:
    """Print lines, or one JSON object, or nothing, as the options `quiet` and `json` have it."""
    if options.json:
        print(json.dumps(finite(facts), default=_plain, ensure_ascii=False))
    elif not options.quiet:
        for line in lines:
            print(line)


@contextlib.contextmanager
def notices(*, quiet: bool) -> Iterator[None]:
    """Print what the package logs, unless quiet, and its warnings, a line each."""
    logger, handler = logging.getLogger("ebmx"), logging.StreamHandler()
    level, propagate = logger.level, logger.propagate
    with warnings.catch_warnings():
        warnings.showwarning = lambda text, *_, **__: print(f"ebmx: {text}", file=sys.stderr)
        logger.setLevel(logging.WARNING if quiet else logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False  # other packages may have given the root a handler
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def report_training(options: argparse.Namespace, report: Any) -> None:
    """Print what came out of a training."""
    how = "interrupted after" if report.interrupted else "trained for"
    ratio = f"it needs images with labels; `ebmx evaluate {report.folder}` compares without"
    if report.frechet_ratio is not None:
        ratio = f"{report.frechet_ratio:.3f} ({len(report.samples)} samples: {report.source})"
    facts = {
        "run": report.folder,
        "updates": report.num_updates,
        "seconds": round(report.seconds, 2),
        "frechet_ratio": report.frechet_ratio,
        "samples_from": report.source,
        "pictures": report.pictures,
        "interrupted": report.interrupted,
    }
    lines = [f"{how} {report.num_updates} updates in {report.seconds:.1f} s"]
    if report.interrupted:
        lines += [f"go on: ebmx train --resume {report.folder}"]
    lines += [f"picture: {picture}" for picture in report.pictures]
    if report.monitor:
        facts["monitor"] = best = report.monitor
        values = "best {best_value:.4g} after update {best_update}, last {last_value:.4g}"
        known = None not in best.values()
        lines += [f"{best['metric']}: {values.format(**best) if known else 'not finite'}"]
    say(options, facts, *lines, f"Fréchet ratio: {ratio}")


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy, and paths, as JSON takes them."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
