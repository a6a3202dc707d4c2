"""Makes the 8-bit bundle of the network that finds capillary loops, from its finished bundle and a folder of drawn nailfolds.

    python models/training/quantise_locator.py --full models/locator-synth-0.2.0 --pictures DIR --out models/locator-synth-int8-0.2.0
"""

import argparse
import shutil
from pathlib import Path

from locating import quantised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=Path, required=True, help="the bundle in 32 bits")
    parser.add_argument("--pictures", type=Path, required=True, help="a folder of `hairpin synth` at the network's scale; one half sets the ranges, the other is compared")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--figures", type=Path, help="lines of the card, one a figure, as `hairpin eval` gave them")
    asked = parser.parse_args()
    figures = asked.figures.read_text().splitlines() if asked.figures else ["none yet: `hairpin eval`"]
    made = asked.out.with_name(asked.out.name + ".part")
    shutil.rmtree(made, ignore_errors=True)
    quantised.write(made, asked.full, asked.pictures, asked.version, figures)
    shutil.rmtree(asked.out, ignore_errors=True)
    made.rename(asked.out)
    print(f"{asked.out}: written")


if __name__ == "__main__":
    main()
