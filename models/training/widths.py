"""Learns how wide loops are, and gives a finished locating bundle a second network that says it.

    python models/training/widths.py --drawn DIR --bundle models/locator-synth-0.2.0 --out models/locator-synth-0.2.0 --version 0.2.0

DIR is a folder of `hairpin synth` with what `hairpin read --json` found on it, `loops.json`. Figures on other frames are made by `hairpin eval`.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch

from locating import bundle, widths


def main() -> None:
    asked = arguments()
    torch.set_num_threads(asked.threads)
    asked.work.mkdir(parents=True, exist_ok=True)
    um_per_px = bundle.um_per_px_of(asked.bundle)
    kept = asked.work / f"widths-{asked.seed}-{asked.epochs}.pt"
    if kept.exists():
        made = torch.load(kept, weights_only=True)
    else:
        loops = widths.loops_of(asked.drawn, um_per_px)
        subjects = sorted(set(loops.subject))
        held = np.isin(loops.subject, subjects[::10])
        net, _ = widths.learn(loops, held, asked.epochs, asked.seed)
        in_focus = held & (loops.blur_um < 4.0)
        made = {
            "net": net.state_dict(), "loops": int((~held).sum()), "subjects": len(subjects) - len(subjects[::10]),
            "held": widths.told(widths.errors(net, loops, in_focus)), "held_subjects": len(subjects[::10]),
        }
        torch.save(made, kept)
    net = widths.WidthNetwork()
    net.load_state_dict(made["net"])
    facts = made | {"epochs": asked.epochs, "seed": asked.seed, "weights": sum(p.numel() for p in net.parameters()), "torch": torch.__version__}
    part = asked.out.with_name(asked.out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    bundle.with_widths(part, asked.bundle, net.eval(), facts, asked.version, asked.figures.read_text().splitlines() if asked.figures else [])
    shutil.rmtree(asked.out, ignore_errors=True)
    part.rename(asked.out)
    print(f"{asked.out}: written")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawn", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True, help="a finished locating bundle; what it answers is not changed")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--figures", type=Path, help="lines of the card, one a figure, as `hairpin eval` gave them")
    parser.add_argument("--work", type=Path, default=Path("target/training/widths"))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
