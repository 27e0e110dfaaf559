"""How long does `import ebmx` take, beside the packages it stands on?

Fresh processes in turn, medians.
"""

import statistics
import subprocess
import sys
import time

from _common import arguments, write

PROGRAMS = {
    "import jax, equinox, optax, blackjax": "import jax, equinox, optax, blackjax",
    "import ebmx": "import ebmx",
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for repeat in range(options.repeats + 1):
        for name, program in PROGRAMS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            if repeat > 0:  # the first may write bytecode
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    base, ours = medians.values()
    for name, value in medians.items():
        print(f"{name:40s}{value:8.2f} s")
    print(f"{'ratio':40s}{ours / base:8.2f}")
    write(options.json, {"seconds": medians, "ratio": ours / base})


if __name__ == "__main__":
    main()
