"""What ships, a fixed local-contrast layer and DenseNet-121 as timm builds it, and the heads that only teach."""

import timm
import torch
from torch import nn
from torch.nn import functional

from .geometry import MEAN, STD


class LocalContrast(nn.Module):
    """What a picture shows beside its light: the logarithm of each channel less its mean over about 0.2 mm.

    Loops differ from the skin around them by a few percent, and one skin or lamp from another by ten times that; a network that starts
    from nothing does not find the small in the large. Nothing is learned here. Padding is the only place where all three channels are 0,
    for no 8-bit sample equals the mean: it stays 0 and counts in no mean.
    """

    def __init__(self, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        pictures = pictures.float()
        shown = (pictures.abs().sum(dim=1, keepdim=True) > 0).float()
        light = torch.log((pictures * self.std + self.mean).clamp(min=0.0) + 0.03) * shown
        around = _around(light) / (_around(shown) + 1e-3)
        return ((light - around) * shown * 10.0).clamp(-4.0, 4.0)


def _around(plane: torch.Tensor) -> torch.Tensor:
    """Mean over 28 pixels, on a quarter of the pixels: at full size it would cost as much as the network's first block."""
    small = functional.avg_pool2d(functional.avg_pool2d(plane, 4), 7, stride=1, padding=3)
    return functional.interpolate(small, scale_factor=4.0, mode="bilinear", align_corners=False)


class Shipped(nn.Module):
    """What ships: the fixed layer, then DenseNet-121."""

    def __init__(self) -> None:
        super().__init__()
        self.front = LocalContrast()
        self.body = timm.create_model("densenet121", pretrained=False, num_classes=2)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.body(self.front(pictures))


class Trainee(nn.Module):
    """The network that ships and heads that only teach.

    A frame's category is one bit; where loops, giants and abnormal loops are and how wide each is are far more to learn from, and a
    network that starts from nothing needs it. `near` says it for cells of 8 pixels from the features of the second block, `far` for cells
    of 32 from the last ones, `whole` gives the frame's density and its widest loop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = Shipped()
        middle, last = 512, self.net.body.num_features
        self.near = nn.Sequential(nn.BatchNorm2d(middle), nn.ReLU(), nn.Conv2d(middle, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 5, 1))
        self.far = nn.Conv2d(last, 5, 1)
        self.whole = nn.Linear(last, 2)
        # Counts are said as logarithms. Most cells are empty, and to walk there from zero would take most of a short training.
        nn.init.constant_(self.near[-1].bias[:4], -4.0)
        nn.init.constant_(self.far.bias[:4], -2.0)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        features, middle = self.net.front(pictures), None
        for name, layer in self.net.body.features.named_children():
            features = layer(features)
            if name == "denseblock2":
                middle = features
        return self.net.body.forward_head(features), self.near(middle), self.far(features), self.whole(features.mean(dim=(2, 3)))


class Average:
    """Exponential moving average of weights and running statistics: steadier than the last step of a short training."""

    def __init__(self, model: nn.Module, decay: float = 0.997) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1.0 - decay)
            else:
                self.state[key].copy_(value)
