"""Workers share weights, and their gradients come together the same way each time."""

import torch

from fitting.learn import Plan
from fitting.team import Team


def parts(numbers: list[int]):
    torch_rng = torch.Generator().manual_seed(numbers[0])
    pictures = torch.randn(len(numbers), 3, 64, 64, generator=torch_rng).contiguous(memory_format=torch.channels_last)
    near, far, whole = (torch.rand(len(numbers), *shape, generator=torch_rng) for shape in ((5, 8, 8), (5, 2, 2), (2,)))
    whole[0, 0] = float("nan")
    return pictures, near, far, whole, torch.tensor([0.5, *[float(n % 2) for n in numbers[1:]]])


def gradients() -> tuple[Team, torch.Tensor]:
    torch.manual_seed(3)
    team = Team(Plan(rounds=1))
    outcome = team.gradients(parts, list(range(8)))
    assert outcome.decided == 6 and 0 <= outcome.right <= 6 and (outcome.losses > 0).all()
    return team, torch.cat([p.grad.flatten() for p in team.model.parameters()])


def test_the_same_batch_gives_the_same_gradient():
    (_, first), (_, second) = gradients(), gradients()
    assert torch.equal(first, second) and first.isfinite().all()


def test_a_step_of_the_model_is_a_step_of_all():
    team, _ = gradients()
    torch.optim.SGD(team.model.parameters(), lr=0.1).step()
    for ours, theirs in zip(team.copies[0].parameters(), team.copies[1].parameters()):
        assert torch.equal(ours, theirs)
