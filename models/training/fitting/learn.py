"""The training loop: seeded by pass and place, so that a run taken up again gives what an unbroken one would."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .augment import example
from .cache import Stored
from .frames import Frame
from .geometry import Geometry
from .network import Average, Trainee
from .team import Team


# Examples between two checkpoints.
ROUND = 1024


@dataclass(frozen=True)
class Plan:
    rounds: int
    # The rate is constant and falls to nothing over the last rounds, so a run may be lengthened or ended early before the fall begins
    # and still be what an unbroken run of that length would have been.
    falling: int = 5
    halved: int = 0  # the first so many rounds see pictures of half the scale
    batch: int = 8  # twice as many while pictures are halved
    rate: float = 8e-4
    weight_decay: float = 0.02
    teach: float = 0.3  # weight of the teaching heads
    seed: int = 0
    workers: int = 2  # each takes its share of a batch; another number is another model

    def rate_at(self, rounds: float) -> float:
        """AdamW's rate after so many rounds: up within the first half, down as a cosine."""
        rise = min(1.0, 0.05 + rounds / 0.5)
        fall = max(0.0, rounds - (self.rounds - self.falling)) / self.falling
        return self.rate * rise * 0.5 * (1.0 + math.cos(math.pi * min(fall, 1.0)))

    def agrees(self, other: dict, done: int) -> bool:
        """Whether `done` rounds of the other plan were those of this one."""
        length = {"rounds": 0, "halved": 0}
        fell = done > min(self.rounds, other["rounds"]) - self.falling
        grew = done > min(self.halved, other["halved"])
        return (
            vars(self) | length == other | length
            and (self.rounds == other["rounds"] or not fell)
            and (self.halved == other["halved"] or not grew)
        )


def train(
    stored: list[Stored], geometry: Geometry, plan: Plan, checkpoint: Path, stop_after: int | None = None
) -> tuple[Trainee, list[dict]]:
    """The averaged network and a line of figures a round. A checkpoint that is there is taken up.

    `stop_after` ends a plan early, without the slow last steps that it would have had.
    """
    torch.manual_seed(plan.seed)
    team = Team(plan)
    model = team.model
    average = Average(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=plan.weight_decay, fused=True)
    first, history = 0, []
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        if not plan.agrees(saved["plan"], saved["round"]):
            raise ValueError(f"{checkpoint} is of another plan ({saved['plan']}): remove it, or ask for the same plan")
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        average.state, average.steps = saved["average"], saved["steps"]
        first, history = saved["round"], saved["history"]

    for number in range(first, min(plan.rounds, stop_after or plan.rounds)):
        history.append(_round(team, average, optimiser, stored, geometry, plan, number))
        partial = checkpoint.with_suffix(".part")
        torch.save(
            {"plan": vars(plan), "model": model.state_dict(), "optimiser": optimiser.state_dict(), "average": average.state,
             "steps": average.steps, "round": number + 1, "history": history},
            partial,
        )
        partial.replace(checkpoint)
    model.load_state_dict(average.state)
    return model.eval(), history


def schedule(count: int, number: int, seed: int) -> list[tuple[int, int]]:
    """The (pass, place) of each example of a round: passes over all of the data, each in an order of its own, cut into rounds."""
    orders: dict[int, np.ndarray] = {}
    out = []
    for k in range(number * ROUND, (number + 1) * ROUND):
        turn = k // count
        if turn not in orders:
            orders[turn] = np.random.default_rng([seed, turn]).permutation(count)
        out.append((turn, int(orders[turn][k % count])))
    return out


def _round(team, average, optimiser, stored, geometry, plan, number) -> dict:
    places = schedule(len(stored), number, plan.seed)
    halved = number < plan.halved
    size = plan.batch * (2 if halved else 1)
    batches = [places[i : i + size] for i in range(0, len(places), size)]
    sums, right, seen = np.zeros(4), 0, 0
    bar = tqdm(batches, desc=f"round {number + 1} of {plan.rounds}", unit="batch", mininterval=5.0)
    for step, batch in enumerate(bar):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(number + step / len(batches))
        outcome = team.gradients(lambda part: _batch(stored, geometry, plan.seed, part, halved), batch)
        torch.nn.utils.clip_grad_norm_(team.model.parameters(), 2.0)
        optimiser.step()
        average.update(team.model)
        sums += outcome.losses
        right += outcome.right
        seen += outcome.decided
        bar.set_postfix(losses=" ".join(f"{v:.3f}" for v in sums / (step + 1)), right=f"{right / max(seen, 1):.3f}", refresh=False)
    figures = dict(zip(("category", "near", "far", "whole"), (sums / len(batches)).round(4).tolist()))
    return {"round": number + 1, **figures, "right": round(right / max(seen, 1), 4)}


def _batch(stored: list[Stored], geometry: Geometry, seed: int, places: list[tuple[int, int]], halved: bool):
    examples = [example(stored[i], geometry, np.random.default_rng([seed, turn, i]), halved) for turn, i in places]
    pictures, near, far, whole = (torch.from_numpy(np.stack(part)) for part in zip(*examples))
    truth = torch.tensor([_target(stored[i].frame) for _, i in places])
    return pictures.contiguous(memory_format=torch.channels_last), near, far, whole, truth


def _target(frame: Frame) -> float:
    """A tile with too little row for the rules is evidence for neither: meaned with others it should not weigh."""
    return 0.5 if frame.positive is None else float(frame.positive)
