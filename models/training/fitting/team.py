"""One step of learning, its batch shared among workers of one thread each.

On a machine with other work to do this is several times faster than one network on several threads, which meet at a barrier in each of
DenseNet's 400 layers; and the sum does not depend on who was first.
"""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .network import Trainee


@dataclass
class Outcome:
    losses: np.ndarray  # category, near, far, whole
    right: int
    decided: int


class Team:
    """Copies of one network with weights in common and gradients of their own."""

    def __init__(self, plan) -> None:
        self.plan = plan
        self.model = Trainee().to(memory_format=torch.channels_last).train()
        self.copies = [self.model] + [copy.deepcopy(self.model) for _ in range(plan.workers - 1)]
        for other in self.copies[1:]:
            for ours, theirs in zip(self.model.parameters(), other.parameters()):
                theirs.data = ours.data
        # The number of threads is a thread's own affair in OpenMP, so each worker has to say it.
        self.pool = ThreadPoolExecutor(plan.workers, initializer=lambda: torch.set_num_threads(1))

    def gradients(self, make: Callable, batch: list) -> Outcome:
        """Leaves the mean gradient of the batch in `model`; `make` turns part of the batch into tensors."""
        size = len(batch) // len(self.copies)
        parts = [batch[i * size : (i + 1) * size] for i in range(len(self.copies))]
        outcomes = list(self.pool.map(lambda job: self._learn(job[0], *make(job[1])), zip(self.copies, parts)))
        for ours, *others in zip(*(c.parameters() for c in self.copies)):
            for theirs in others:
                ours.grad.add_(theirs.grad)
            ours.grad.div_(len(self.copies))
        return Outcome(
            np.mean([o.losses for o in outcomes], axis=0), sum(o.right for o in outcomes), sum(o.decided for o in outcomes)
        )

    def _learn(self, model: Trainee, pictures, near, far, whole, truth) -> Outcome:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, said_near, said_far, said_whole = (out.float() for out in model(pictures))
        known = ~whole.isnan()
        losses = torch.stack([
            functional.cross_entropy(logits, torch.stack([1.0 - truth, truth], dim=1)),
            loops_loss(said_near, near),
            loops_loss(said_far, far),
            functional.smooth_l1_loss(said_whole[known], whole[known], beta=0.2),
        ])
        model.zero_grad(set_to_none=True)
        (losses[0] + self.plan.teach * losses[1:].sum()).backward()
        decided = truth != 0.5
        margin = (logits[:, 1] - logits[:, 0]).detach()
        right = int(((margin > 0) == (truth > 0.5))[decided].sum())
        return Outcome(losses.detach().numpy(), right, int(decided.sum()))


def loops_loss(said: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Poisson loss of the four counts and, where loops are, of the logarithm of their width; a loop, not a cell, is what weighs one."""
    counts = functional.poisson_nll_loss(said[:, :4].clamp(max=5.0), true[:, :4], log_input=True, reduction="none")
    width = true[:, 0] * functional.smooth_l1_loss(said[:, 4], true[:, 4], beta=0.1, reduction="none")
    return ((counts.sum(dim=(1, 2, 3)) + 2.0 * width.sum(dim=(1, 2))) / (4.0 + true[:, :4].sum(dim=(1, 2, 3)))).mean()
