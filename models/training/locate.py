"""Makes the bundle that finds capillary loops, from folders of drawn nailfolds with labels.

    python models/training/locate.py --learn DIR DIR --hold DIR --out models/locator-synth-0.2.0

Figures on drawn and real frames are not made here but by `hairpin eval`, which reads frames the way the service does.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from locating import bundle, frames
from locating.learn import Plan, train
from locating.lesson import Lessons


def main() -> None:
    asked = arguments()
    device = torch.device(asked.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    else:
        torch.set_num_threads(asked.threads)
    asked.work.mkdir(parents=True, exist_ok=True)
    pictures = [frames.read(folder, asked.threads) for folder in asked.learn]
    lessons = Lessons(pictures, asked.side, device, asked.seed)
    plan = Plan(steps=asked.steps, batch=asked.batch, rate=asked.rate, seed=asked.seed)
    stop_after_s = asked.minutes * 60 if asked.minutes else None
    net, history = train(lessons, plan, asked.work / f"locator-{asked.seed}.pt", stop_after_s)
    net = net.cpu().float()

    out = asked.work / f"bundle-{asked.seed}"
    shutil.rmtree(out, ignore_errors=True)
    facts = {
        "plan": vars(plan) | {"side": asked.side, "minutes": asked.minutes}, "device": str(device), "history": history,
        "learn": {folder.name: bundle.sha256(folder / "truth.jsonl") for folder in asked.learn},
        "pictures": sum(len(p) for p in pictures), "parameters": sum(p.numel() for p in net.parameters()),
        "torch": torch.__version__,
    }
    bundle.write(out, net, pictures[0].um_per_px, asked.golden, facts, asked.version)
    (asked.work / f"metrics-{asked.seed}.json").write_text(json.dumps(facts, indent=1) + "\n")
    if asked.out:
        shutil.rmtree(asked.out, ignore_errors=True)
        shutil.copytree(out, asked.out)
        print(f"{asked.out}: written")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learn", type=Path, nargs="+", required=True, help="folders of `hairpin synth --labels --tile N --um-per-px U`, one N and one U")
    parser.add_argument("--golden", type=Path, required=True, help="a drawn picture of the same U: FILE, with truth.jsonl two folders up")
    parser.add_argument("--work", type=Path, default=Path("target/training/locate"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--minutes", type=float, help="end after so long, whatever the steps")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=320, help="of a crop, in pixels")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", help="cuda or cpu; the first when it is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
