"""The networks: timm's own, trained on one's images from random weights or from a file on one's disk; seeded, and resumable by epoch."""

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from torch.nn import functional
from tqdm import tqdm

from fitting.network import Average, LocalContrast

from .pictures import Input, kept_pictures, opened
from .problem import USAGE, Problem
from .protocol import Plan, Trial
from .table import Cohort


@dataclass(frozen=True)
class Network:
    timm_name: str
    rate: float  # AdamW's, at the height of its course
    sized: bool = False  # the input's side is part of the network's shape


# VGG-16 has no normalisation and ViT no convolutions: both want smaller steps when they begin from nothing.
NETWORKS = {
    "densenet121": Network("densenet121", 5e-4),
    "resnet18": Network("resnet18", 5e-4),
    "vgg16": Network("vgg16", 1e-4),
    "vit_small": Network("vit_small_patch16_224", 3e-4, sized=True),
    "mobilenetv4_small": Network("mobilenetv4_conv_small", 1e-3),
}


@dataclass(frozen=True)
class Trained:
    """A finished network, and the processors that it was trained on."""

    net: torch.nn.Module
    on: str


@dataclass(frozen=True)
class Course:
    """How a network is trained."""

    epochs: int = 15
    batch: int = 32
    seed: int = 1
    weights: str = ""  # sha256 of the file they came from
    bf16: bool = True
    light: bool = False  # a fixed layer in front takes the light off


# The layer that takes the light off looks at a quarter of the pixels.
LIGHT_STEP = 4


class Lit(torch.nn.Module):
    """The fixed layer of the shipped network, which takes the light off, and another network behind it; one ONNX model holds both."""

    def __init__(self, body: torch.nn.Module, input_: Input) -> None:
        super().__init__()
        self.front = LocalContrast(input_.mean, input_.std)
        self.body = body

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.body(self.front(pictures))


def built(name: str, side: int, weights: Path | None = None) -> torch.nn.Module:
    network = NETWORKS[name]
    model = timm.create_model(network.timm_name, pretrained=False, num_classes=2, **({"img_size": side} if network.sized else {}))
    if weights:
        _fill(model, weights)
    return model


def _fill(model: torch.nn.Module, path: Path) -> None:
    """Weights of the user's own file, but for the head; a file of another network is refused."""
    try:
        state = timm.models.load_state_dict(str(path), weights_only=True)
    except Exception as error:  # whatever a damaged file makes torch or safetensors raise
        raise Problem(f"{path}: is no file of weights: {error}") from error
    own = model.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    head = model.get_classifier()
    strangers = [key for key in own if key not in fitting and not any(own[key] is p or own[key].shape == p.shape for p in head.state_dict().values())]
    if len(fitting) < 0.9 * len(own):
        raise Problem(f"{path}: only {len(fitting)} of {len(own)} tensors fit; the first that does not is {strangers[0] if strangers else 'unknown'}")
    model.load_state_dict(fitting, strict=False)


def input_of(name: str, mode: str, side: int, um_per_px: float) -> Input:
    """What timm says of the network's mean, deviation and filter."""
    config = timm.data.resolve_data_config({}, model=built(name, side))
    return Input(mode, side, tuple(config["mean"]), tuple(config["std"]), config["interpolation"], um_per_px)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(name: str, pictures: list[np.ndarray], truth: np.ndarray, input_: Input, course: Course, checkpoint: Path, weights: Path | None, workers: int = 0) -> Trained:
    """The averaged network after all epochs. A checkpoint of the same course is taken up; of another it is refused.

    `workers` processes make what it sees, which a GPU would wait for; the network is the same whatever their number.
    """
    torch.manual_seed(course.seed)
    where = device()
    model = built(name, input_.side, weights)
    model = (Lit(model, input_) if course.light else model).to(where, memory_format=torch.channels_last).train()
    average = Average(model, decay=0.99)
    optimiser = torch.optim.AdamW(model.parameters(), lr=NETWORKS[name].rate, weight_decay=0.05)
    plan, first, on = f"{name} {input_} {course} {len(truth)}", 0, [_here()]
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=where)
        if saved["plan"] != plan:
            raise Problem(f"{checkpoint}: is of another course ({saved['plan']}): remove it, or ask for the same", USAGE)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        average.state, average.steps, first = saved["average"], saved["steps"], saved["epoch"]
        on = saved["on"] + [place for place in on if first < course.epochs and place not in saved["on"]]
    batches = iter(_batches(pictures, truth, input_, course, first, workers))
    for epoch in range(first, course.epochs):
        _epoch(name, model, average, optimiser, batches, len(_shuffled(course, epoch, len(truth))), course, epoch)
        part = checkpoint.with_suffix(".part")
        torch.save({"plan": plan, "model": model.state_dict(), "optimiser": optimiser.state_dict(), "average": average.state, "steps": average.steps, "epoch": epoch + 1, "on": on}, part)
        part.replace(checkpoint)
    model.load_state_dict(average.state)
    return Trained(model.eval().cpu(), "; then on ".join(on))


def _here() -> str:
    """Where a network is trained, for its card."""
    where = torch.cuda.get_device_name() if device().type == "cuda" else "a CPU"
    return f"{where} (torch {version('torch')}, timm {version('timm')})"


@dataclass(frozen=True)
class Examples(torch.utils.data.Dataset):
    """What the network sees at (epoch, place): the same whoever makes it, and in whatever order."""

    pictures: list[np.ndarray]
    truth: np.ndarray
    lesson: Callable
    seed: int

    def __getitem__(self, at: tuple[int, int]) -> tuple[torch.Tensor, int]:
        epoch, place = at
        return _example(self.lesson, self.pictures[place], self.seed, epoch, place), int(self.truth[place])


def _batches(pictures: list[np.ndarray], truth: np.ndarray, input_: Input, course: Course, first: int, workers: int) -> torch.utils.data.DataLoader:
    """Those of all epochs from `first` on, one after the other."""
    order = ([(epoch, int(place)) for place in batch] for epoch in range(first, course.epochs) for batch in _shuffled(course, epoch, len(truth)))
    return torch.utils.data.DataLoader(Examples(pictures, truth, input_.lesson(), course.seed), batch_sampler=order, num_workers=workers)


def _shuffled(course: Course, epoch: int, count: int) -> list[np.ndarray]:
    order = np.random.default_rng([course.seed, epoch]).permutation(count)
    batches = [order[i : i + course.batch] for i in range(0, count, course.batch)]
    return [batch for batch in batches if len(batch) > 1] or batches


def _epoch(name, model, average, optimiser, batches, count: int, course: Course, epoch: int) -> None:
    """The next `count` of the batches."""
    where = next(model.parameters()).device
    bar = tqdm(range(count), desc=f"{name}, epoch {epoch + 1} of {course.epochs}", unit="batch", mininterval=5.0)
    for step in bar:
        tensors, truth = next(batches)
        done = (epoch + step / count) / course.epochs
        for group in optimiser.param_groups:
            group["lr"] = NETWORKS[name].rate * min(1.0, 0.05 + done * 10.0) * 0.5 * (1.0 + math.cos(math.pi * done))
        tensors = tensors.to(where, memory_format=torch.channels_last)
        with torch.autocast(where.type, dtype=torch.bfloat16, enabled=course.bf16):
            logits = model(tensors)
        loss = functional.cross_entropy(logits.float(), truth.to(where), label_smoothing=0.05)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update(model)
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)


def _example(lesson: Callable, picture: np.ndarray, seed: int, epoch: int, place: int) -> torch.Tensor:
    """Seeded by epoch and place: a run taken up again sees what an unbroken one would have seen."""
    own = int(np.random.default_rng([seed, epoch, place]).integers(2**31))
    random.seed(own)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(own)
        return lesson(Image.fromarray(np.asarray(picture)))


@torch.no_grad()
def said(model: torch.nn.Module, cohort: Cohort, places: np.ndarray, input_: Input, where: torch.device | None = None) -> np.ndarray:
    """[n, 2] probabilities, logits meaned over tiles, in the order of the places."""
    where = where or device()
    model, out = model.to(where), []
    for place in tqdm(places, desc="asking", unit="image", mininterval=2.0):
        row = cohort.rows[place]
        out.append(model(torch.from_numpy(input_.served(opened(row), row.um_per_px)).to(where)).mean(dim=0).cpu())
    return torch.softmax(torch.stack(out).double(), dim=1).numpy()


def compared(cohort: Cohort, asked, plan: Plan, kept: Callable[[str, Trial, Plan], dict]) -> dict:
    """Figures of each network that was asked for, under the same protocol with `--network-repeats` splits."""
    models = {}
    truth = np.array([row.positive for row in cohort.rows])
    for name in asked.networks:
        input_ = input_of(name, asked.input, asked.side, asked.um_per_px)

        def trial(train_on: np.ndarray, held: list[np.ndarray], seed: int, name=name, input_=input_) -> list[np.ndarray]:
            model = trained(name, cohort, truth, train_on, input_, course_of(asked, seed), asked)
            return [said(model.net, cohort, places, input_) for places in held]

        models[f"{name} ({asked.input} {asked.side}{', light taken off' if asked.light else ''})"] = kept(f"{name}/{input_}/{course_of(asked, 0)}", trial, replace(plan, repeats=asked.network_repeats))
    return models


def trained(name: str, cohort: Cohort, truth: np.ndarray, places: np.ndarray, input_: Input, course: Course, asked) -> Trained:
    """One network of these rows, its checkpoint named by everything that decides it."""
    from .fit import source_digest

    digest = source_digest(cohort)
    key = hashlib.sha256(f"{name} {input_} {course} {digest} {places.tolist()}".encode()).hexdigest()[:16]
    asked.work.mkdir(parents=True, exist_ok=True)
    pictures = kept_pictures(cohort.rows, input_, asked.work, digest[:16], asked.threads)
    workers = asked.threads if device().type == "cuda" else 0
    return train(name, [pictures[i] for i in places], truth[places], input_, course, asked.work / f"{name}-{key}.pt", asked.weights, workers)


def course_of(asked, seed: int) -> Course:
    if asked.light and asked.side % LIGHT_STEP:
        raise Problem(f"--side {asked.side}: with --light a side is a multiple of {LIGHT_STEP}", USAGE)
    weights = hashlib.sha256(asked.weights.read_bytes()).hexdigest() if asked.weights else ""
    return Course(asked.epochs, asked.batch, seed, weights, asked.bf16, asked.light)
