"""What a run has written into its folder."""

import json

FILES = {"config.toml", "run.json", "moments.npz", "metrics.jsonl", "checkpoints", "report.json"}
FILES |= {"energies.png"}


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def metrics(folder):
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines(folder)]
