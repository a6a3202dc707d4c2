"""`check-data`, `fit` and `compare`, from the command line."""

import argparse
import os
import sys
from pathlib import Path

from . import table, whole
from .problem import MISSING, USAGE, Problem

CLASSICAL = ("rf", "svm", "lr", "lightgbm", "xgboost", "knn")
NETWORKS = ("densenet121", "resnet18", "vgg16", "vit_small", "mobilenetv4_small")
GROUPS = ("hu", "haralick", "colour", "lbp")


def main() -> int:
    asked = arguments().parse_args()
    try:
        return asked.run(asked)
    except Problem as problem:
        print(f"{asked.command}: {problem}", file=sys.stderr)
        return problem.status
    except ModuleNotFoundError as error:
        print(f"{asked.command}: the Python package {error.name} is missing: install models/training/requirements.txt", file=sys.stderr)
        return MISSING


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kit", description="Makes model bundles from labelled images. Research use only.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what, run, add in (
        ("check-data", "finds what would make figures false, before a model is made", check_data, _check_arguments),
        ("fit", "makes one model and writes its bundle", fit, _fit_arguments),
        ("compare", "measures all models under one protocol and writes a page", compare, _compare_arguments),
    ):
        command = commands.add_parser(name, help=what, description=f"{name}: {what}.")
        command.set_defaults(run=run)
        _data_arguments(command)
        add(command)
    return parser


def check_data(asked: argparse.Namespace) -> int:
    from .checks import checked

    cohort = cohort_of(asked, asked.data)
    found = checked(cohort, asked.seed, cohort_of(asked, asked.against) if asked.against else None)
    for kind in ("errors", "warnings", "notes"):
        for line in getattr(found, kind):
            print(f"{kind[:-1]}: {line}")
    print(f"{cohort.source}: {len(cohort.rows)} images of {len(cohort.subjects)} subjects; {len(found.errors)} errors, {len(found.warnings)} warnings")
    return 65 if found.errors else 0


def fit(asked: argparse.Namespace) -> int:
    whole.refuse(asked.out, asked.replace)
    cohort = cohort_of(asked, asked.data)
    if asked.model in CLASSICAL:
        from .fit import fit_classical

        fit_classical(cohort, asked)
    else:
        if asked.loops:
            raise Problem(f"--loops: {asked.model} reads pixels; the group shape is for classical models", USAGE)
        from .netbundle import fit_network

        fit_network(cohort, asked)
    return 0


def compare(asked: argparse.Namespace) -> int:
    from .compare import compare as compared

    whole.refuse(asked.out, asked.replace)
    compared(cohort_of(asked, asked.data), asked)
    return 0


def cohort_of(asked: argparse.Namespace, source: Path) -> table.Cohort:
    return table.read(source, asked.scheme, asked.positive, asked.label_of)


def _data_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", type=Path, help="a table (CSV), a folder with images.csv, a folder of label/subject/image, or one made by `hairpin synth`")
    command.add_argument("--scheme", help="fast-track, normal-abnormal, cutolo-2000 or maricq, where the table has no column scheme")
    command.add_argument("--positive", help="the label to find, where the scheme does not say")
    command.add_argument("--label-of", choices=("subject", "image"), default="subject", help="whether a label is of a person or of what one image shows")
    command.add_argument("--seed", type=int, default=1)


def _model_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, help="the folder to write; it appears whole or not at all")
    command.add_argument("--replace", action="store_true", help="put the new folder in the place of one that is there")
    command.add_argument("--work", type=Path, default=Path("target/kit"), help="features, checkpoints and figures, so that a stopped run goes on")
    command.add_argument("--size", type=_size, default=(320, 256), help="width x height at which features are computed")
    command.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    command.add_argument("--repeats", type=int, default=5, help="splits by subject, each with a model of its own")
    command.add_argument("--exam-false-alarm", type=_share, default=0.05, help="share of healthy exams that may show any false finger")
    command.add_argument("--cohort", help="what the cohort is called")
    command.add_argument("--drawn-by", default="", help="a sentence on where the data came from, for the card and the page")
    for name, standard, what in (("--epochs", 15, "of a network"), ("--batch", 32, "of a network"), ("--side", 224, "pixels of a network's input")):
        command.add_argument(name, type=int, default=standard, help=what)
    command.add_argument("--input", choices=("field", "tiles"), default="field", help="a network sees the whole field resized, or tiles of a fixed scale")
    command.add_argument("--um-per-px", type=float, default=7.0, help="scale of tiles")
    command.add_argument("--weights", type=Path, help="weights of the same network on your own disk to begin from")
    command.add_argument("--light", action="store_true", help="put the shipped network's fixed layer in front, which takes the light off a picture")
    command.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="train a network in bfloat16")


def _check_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--against", type=Path, help="a table kept apart as a test: no subject or picture may be in both")


def _fit_arguments(command: argparse.ArgumentParser) -> None:
    _model_arguments(command)
    command.add_argument("--model", required=True, choices=(*CLASSICAL, *NETWORKS))
    command.add_argument("--features", type=_fit_groups, default=("hu", "haralick"), help="groups for a classical model, as hu,haralick,colour,lbp,shape")
    command.add_argument("--loops", type=Path, help="what `hairpin read --json` measured of the loops, for the group shape; images of which not all was measured are left out")
    command.add_argument("--name", help="of the bundle; the model's unless given")
    command.add_argument("--version", default="0.1.0")
    command.add_argument("--licence", default="unlicensed", help="of the bundle, as an SPDX expression")
    command.add_argument("--golden", type=Path, help="an image that may be given away inside the bundle; a made-up picture unless given")
    command.add_argument("--elsewhere", type=Path, help="folder with frames/ and labels.csv to look at, never to learn from")
    command.add_argument("--elsewhere-is", default="", help="what those images are, for the card: part of a sentence")
    command.add_argument("--elsewhere-loops", type=Path, help="what `hairpin read --json` measured on those images, for the group shape")
    command.add_argument("--elsewhere-um-per-px", type=float, help="scale of those images, which a network of tiles needs")
    command.add_argument("--int8", action="store_true", help="write a second bundle of a network in int8, with what it lost")
    command.add_argument("--by-image", action="store_true", help="train a network on the 70 to 30 split by image, too")


def _compare_arguments(command: argparse.ArgumentParser) -> None:
    _model_arguments(command)
    command.add_argument("--models", nargs="*", choices=CLASSICAL, default=list(CLASSICAL))
    command.add_argument("--combinations", type=_groups, nargs="+", default=_standard(), help="of feature groups, each as hu,haralick")
    command.add_argument("--networks", nargs="*", choices=NETWORKS, default=[])
    command.add_argument("--network-repeats", type=int, default=1, help="splits for a network")
    command.add_argument("--add", type=Path, nargs="+", default=[], help="comparison.json of the same images under the same plan, made elsewhere, to stand on the same page")
    command.add_argument("--loops", type=Path, help="what `hairpin read --json` measured of the loops, as .json, or a table of it; adds each combination with the group shape, and that group alone")


def _standard() -> list[tuple[str, ...]]:
    return [("hu",), ("haralick",), ("colour",), ("hu", "haralick"), ("hu", "haralick", "colour")]


def _groups(text: str, known: tuple[str, ...] = GROUPS) -> tuple[str, ...]:
    wanted = text.split(",")
    strangers = [name for name in wanted if name not in known]
    if strangers or len(set(wanted)) < len(wanted):
        raise argparse.ArgumentTypeError(f"{text!r}: groups are {', '.join(known)}, each at most once, joined by commas")
    return tuple(name for name in known if name in wanted)


def _fit_groups(text: str) -> tuple[str, ...]:
    return _groups(text, (*GROUPS, "shape"))


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give width x height, as 320x256") from None
    if not (16 <= width <= 2048 and 16 <= height <= 2048):
        raise argparse.ArgumentTypeError(f"{text!r}: sides have 16 to 2048 pixels")
    return width, height


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text}: a share is between 0 and 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
