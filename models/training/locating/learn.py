"""The loop: AdamW, warm-up and cosine, an average of the weights, loss by map."""

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from .lesson import Lesson, Lessons
from .network import MAPS, Locator


@dataclass(frozen=True)
class Plan:
    steps: int
    batch: int
    rate: float
    seed: int


def focal(logit: torch.Tensor, target: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Penalty-reduced focal loss (CornerNet, Law and Deng 2018; CenterNet, Zhou et al. 2019), a tip."""
    p = torch.sigmoid(logit).clamp(1e-4, 1 - 1e-4)
    tip = (target >= 0.999).float()
    loss = tip * (1 - p) ** 2 * torch.log(p) + (1 - tip) * (1 - target) ** 4 * p**2 * torch.log(1 - p)
    return -(loss * counts).sum() / (tip * counts).sum().clamp(min=8)


def losses(answer: torch.Tensor, lesson: Lesson) -> dict[str, torch.Tensor]:
    plane = {name: answer[:, i] for i, name in enumerate(MAPS)}
    abnormal, width, toward, distal = lesson.at_tips[:, 0], lesson.at_tips[:, 1], lesson.at_tips[:, 2:4], lesson.at_tips[:, 4]
    tips = lesson.tips.sum().clamp(min=1)
    said = torch.stack([plane["toward_x"], plane["toward_y"]], 1)
    bce = functional.binary_cross_entropy_with_logits
    shape = bce(plane["abnormal"], abnormal, reduction="none") * lesson.tips * distal
    return {
        "apex": focal(plane["apex"], lesson.apex, lesson.counts),
        "proximal": 0.4 * focal(plane["proximal"], lesson.proximal, lesson.counts),
        "vessel": bce(plane["vessel"], lesson.vessel),
        "nail": 0.5 * bce(plane["nail"], lesson.nail),
        "haemorrhage": bce(plane["haemorrhage"], lesson.haemorrhage),
        "abnormal": 0.3 * shape.sum() / (lesson.tips * distal).sum().clamp(min=1),
        "width": 0.5 * ((plane["log_width"] - width).abs() * lesson.tips).sum() / tips,
        "toward": 0.5 * ((said - toward).abs().sum(1) * lesson.tips).sum() / tips,
    }


def train(lessons: Lessons, plan: Plan, checkpoint: Path, stop_after_s: float | None = None) -> tuple[Locator, list[dict]]:
    """The averaged network and a row of figures for every fiftieth of the way; goes on from `checkpoint` when it is there.

    When `stop_after_s` is given the rate falls with the time instead of with the steps, so that it has fallen when time is up.
    """
    torch.manual_seed(plan.seed)
    device = lessons.device
    net = Locator().to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=1e-3)
    step, history, began = 0, [], time.monotonic()
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device)
        net.load_state_dict(kept["net"])
        average.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        step, history = kept["step"], kept["history"]
    recent: dict[str, torch.Tensor] = {}
    shown = began
    while step < plan.steps:
        spent = (time.monotonic() - began) / stop_after_s if stop_after_s else step / plan.steps
        if spent >= 1:
            break
        warm = min(1.0, (step + 1) / 200)
        rate = plan.rate * warm * (0.5 * (1 + float(torch.cos(torch.tensor(spent * torch.pi)))) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        lesson = lessons.draw(plan.batch)
        with torch.no_grad():
            planes = net.light(lesson.rgb)
            # Loops stand out more on one skin than on another.
            gain = lessons.uniform(0.6, 1.5, plan.batch, 1, 1, 1) * lessons.uniform(0.85, 1.18, plan.batch, 4, 1, 1)
            planes = (planes * gain).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            answer = net.body(planes)
        parts = losses(answer.float(), lesson)
        loss = sum(parts.values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        step += 1
        _average(average, net, min(0.9995, step / (step + 20)))
        for name, value in parts.items():
            recent[name] = 0.98 * recent.get(name, value.detach()) + 0.02 * value.detach()
        if time.monotonic() - shown > 15:
            shown = time.monotonic()
            row = {"step": step, "s": round(shown - began, 1)} | {name: round(float(v), 4) for name, v in recent.items()}
            history.append(row)
            print(row, flush=True)
            _keep(checkpoint, net, average, optimizer, step, history)
    _keep(checkpoint, net, average, optimizer, step, history)
    return average.eval(), history


@torch.no_grad()
def _average(average: nn.Module, net: nn.Module, decay: float) -> None:
    ours, theirs = list(average.state_dict().values()), list(net.state_dict().values())
    floats = [(a, b) for a, b in zip(ours, theirs) if a.dtype.is_floating_point]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)
    for a, b in zip(ours, theirs):
        if not a.dtype.is_floating_point:
            a.copy_(b)


def _keep(path: Path, net: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int, history: list[dict]) -> None:
    state = {"net": net.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "history": history}
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)
