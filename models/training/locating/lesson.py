"""Crops to learn from: turned, stretched, recoloured, softened and roughened anew each time, with what the network should answer."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from . import frames
from .distal import DISTAL, IGNORED, PROXIMAL
from .network import STRIDE

# Of the bell around a tip: 12 um.
SIGMA_UM = 12.0


@dataclass(frozen=True)
class Lesson:
    rgb: torch.Tensor
    # batch x height x width at the network's stride; 0 to 1.
    apex: torch.Tensor
    proximal: torch.Tensor
    vessel: torch.Tensor
    nail: torch.Tensor
    haemorrhage: torch.Tensor
    # 0 where nobody can say whether a tip is there.
    counts: torch.Tensor
    # batch x 5 x height x width, and where they are meant: abnormal, log of width in um, the two of toward, and where abnormal is meant.
    at_tips: torch.Tensor
    tips: torch.Tensor


class Lessons:
    """Draws batches of crops of `side` pixels from pictures that lie on `device`."""

    def __init__(self, pictures: list[frames.Pictures], side: int, device: torch.device, seed: int) -> None:
        self.um_per_px = pictures[0].um_per_px
        self.pixels = torch.cat([p.pixels for p in pictures]).to(device)
        self.labels = torch.cat([p.labels for p in pictures]).to(device)
        most = max(p.loops.shape[1] for p in pictures)
        loops = [functional.pad(p.loops, (0, 0, 0, most - p.loops.shape[1])) for p in pictures]
        for padded, p in zip(loops, pictures):
            padded[:, p.loops.shape[1] :, frames.KIND] = frames.NONE
        self.loops = torch.cat(loops).to(device)
        self.side, self.device = side, device
        self.chance = torch.Generator(device=device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.chance, device=self.device)

    def _happens(self, share: float, count: int) -> torch.Tensor:
        return torch.rand(count, generator=self.chance, device=self.device) < share

    def draw(self, count: int) -> Lesson:
        which = torch.randint(len(self.pixels), (count,), generator=self.chance, device=self.device)
        loops = self.loops[which].clone()
        height, width = self.pixels.shape[2:]
        centre = self._centres(loops, height, width, count)
        turn, stretch = self._turns(count)
        # From a place in the crop, in pixels from its middle, to one in the picture.
        matrix = turn / stretch.view(-1, 1, 1)
        grid = self._grid(matrix, centre, height, width)
        rgb = functional.grid_sample(self.pixels[which].float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        coarse = grid.view(count, self.side // STRIDE, STRIDE, self.side // STRIDE, STRIDE, 2).mean(dim=(2, 4))
        bits = functional.grid_sample(
            self.labels[which].float().unsqueeze(1), coarse, mode="nearest", padding_mode="reflection", align_corners=False
        )
        bits = bits.squeeze(1).round().to(torch.uint8)
        inside = (coarse.abs() <= 1).all(dim=3)
        self._move(loops, matrix, centre, turn, stretch)
        return self._lesson(self._recoloured(rgb), bits, inside, loops)

    def _centres(self, loops: torch.Tensor, height: int, width: int, count: int) -> torch.Tensor:
        """Most crops hold a distal tip; a fifth lie anywhere."""
        distal = (loops[:, :, frames.KIND] == DISTAL).float()
        some = distal.sum(dim=1) > 0
        chosen = torch.multinomial(distal + 1e-6, 1, generator=self.chance)
        tip = loops.gather(1, chosen.unsqueeze(2).expand(-1, -1, loops.shape[2])).squeeze(1)[:, :2]
        reach = 0.42 * self.side
        near = tip + self.uniform(-reach, reach, count, 2)
        anywhere = self.uniform(0, 1, count, 2) * torch.tensor([width, height], device=self.device)
        centre = torch.where((some & self._happens(0.8, count)).unsqueeze(1), near, anywhere)
        half = 0.4 * self.side
        limit = torch.tensor([width - half, height - half], device=self.device)
        return torch.minimum(centre.clamp(min=half), limit)

    def _turns(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        quarter = torch.randint(4, (count,), generator=self.chance, device=self.device) * (math.pi / 2)
        angle = quarter + self.uniform(-0.25, 0.25, count)
        mirror = torch.where(self._happens(0.5, count), -1.0, 1.0)
        cos, sin = angle.cos(), angle.sin()
        turn = torch.stack([torch.stack([cos * mirror, -sin], 1), torch.stack([sin * mirror, cos], 1)], 1)
        return turn, self.uniform(0.87, 1.15, count)

    def _grid(self, matrix: torch.Tensor, centre: torch.Tensor, height: int, width: int) -> torch.Tensor:
        along = torch.arange(self.side, device=self.device) + 0.5 - self.side / 2
        y, x = torch.meshgrid(along, along, indexing="ij")
        places = torch.stack([x, y], 2).view(1, -1, 2) @ matrix.transpose(1, 2) + centre.unsqueeze(1)
        places = places / torch.tensor([width, height], device=self.device) * 2 - 1
        return places.view(-1, self.side, self.side, 2)

    def _move(self, loops: torch.Tensor, matrix: torch.Tensor, centre: torch.Tensor, turn: torch.Tensor, stretch: torch.Tensor) -> None:
        back = torch.linalg.inv(matrix)
        tips = (loops[:, :, : frames.TOWARD_X] - centre.unsqueeze(1)) @ back.transpose(1, 2) + self.side / 2
        loops[:, :, : frames.TOWARD_X] = tips
        toward = loops[:, :, frames.TOWARD_X : frames.WIDTH_UM] @ torch.linalg.inv(turn).transpose(1, 2)
        loops[:, :, frames.TOWARD_X : frames.WIDTH_UM] = toward
        loops[:, :, frames.WIDTH_UM] *= stretch.unsqueeze(1)

    def _recoloured(self, rgb: torch.Tensor) -> torch.Tensor:
        count = len(rgb)
        sigma = torch.where(self._happens(0.65, count), self.uniform(0.3, 2.0, count), torch.full((count,), 1e-3, device=self.device))
        rgb = _blurred(rgb, sigma)
        gain = self.uniform(-0.35, 0.25, count, 1, 1, 1) + self.uniform(-0.12, 0.12, count, 3, 1, 1)
        light = (rgb / 255.0).clamp(1e-3, 1.0) ** self.uniform(0.8, 1.25, count, 1, 1, 1) * gain.exp()
        rough = self.uniform(0.0, 0.02, count, 1, 1, 1) * self._happens(0.5, count).view(-1, 1, 1, 1)
        light = light + torch.randn(light.shape, generator=self.chance, device=self.device) * rough
        grey = light.mean(dim=1, keepdim=True)
        pale = torch.where(self._happens(0.15, count), self.uniform(0.3, 1.0, count), torch.zeros(count, device=self.device))
        light = light + (grey - light) * pale.view(-1, 1, 1, 1)
        # A camera gives bytes.
        return (light * 255.0).round().clamp(0, 255) / 255.0

    def _lesson(self, rgb: torch.Tensor, bits: torch.Tensor, inside: torch.Tensor, loops: torch.Tensor) -> Lesson:
        kind = loops[:, :, frames.KIND]
        place = loops[:, :, : frames.TOWARD_X] / STRIDE
        shape, sigma = bits.shape, SIGMA_UM / self.um_per_px / STRIDE
        bells = {k: bell(place, kind == k, shape, sigma) for k in (DISTAL, PROXIMAL, IGNORED)}
        counts = (bells[IGNORED] < 0.15) | (bells[DISTAL] > 0.3)
        meant = (kind == DISTAL) | (kind == PROXIMAL)
        width = loops[:, :, frames.WIDTH_UM].clamp(min=4.0).log()
        values = [loops[:, :, frames.ABNORMAL], width, loops[:, :, frames.TOWARD_X], loops[:, :, frames.TOWARD_Y], (kind == DISTAL).float()]
        at_tips, tips = spread(place, meant, torch.stack(values, 2), shape)
        bit = lambda which: ((bits & which) > 0).float()  # noqa: E731
        return Lesson(
            rgb=rgb, apex=bells[DISTAL], proximal=bells[PROXIMAL], vessel=bit(frames.DISTAL), nail=bit(frames.NAIL_SIDE),
            haemorrhage=bit(frames.HAEMORRHAGE), counts=counts.float() * inside, at_tips=at_tips, tips=tips * inside,
        )


def _patches(place: torch.Tensor, meant: torch.Tensor, shape: torch.Size, reach: int) -> tuple[torch.Tensor, ...]:
    """For each loop the cells around its tip: flat index, offset from the tip in cells, and whether it counts."""
    around = torch.arange(-reach, reach + 1, device=place.device)
    dy, dx = (d.reshape(-1) for d in torch.meshgrid(around, around, indexing="ij"))
    cell = place.floor().long()
    x, y = cell[:, :, 0:1] + dx, cell[:, :, 1:2] + dy
    off = torch.stack([x + 0.5 - place[:, :, 0:1], y + 0.5 - place[:, :, 1:2]], 3)
    valid = meant.unsqueeze(2) & (x >= 0) & (y >= 0) & (x < shape[2]) & (y < shape[1])
    return (y.clamp(0, shape[1] - 1) * shape[2] + x.clamp(0, shape[2] - 1)), off, valid


def bell(place: torch.Tensor, meant: torch.Tensor, shape: torch.Size, sigma: float) -> torch.Tensor:
    """A bell around each tip that is meant, exactly 1 in the cell that holds the tip; the highest where bells meet."""
    index, off, valid = _patches(place, meant, shape, math.ceil(3 * sigma))
    value = torch.exp(-(off**2).sum(dim=3) / (2 * sigma**2))
    middle = value.shape[2] // 2
    value[:, :, middle] = 1.0
    flat = torch.zeros(shape[0], shape[1] * shape[2], device=place.device)
    flat.scatter_reduce_(1, index.flatten(1), (value * valid).flatten(1), "amax")
    return flat.view(shape)


def spread(place: torch.Tensor, meant: torch.Tensor, values: torch.Tensor, shape: torch.Size) -> tuple[torch.Tensor, torch.Tensor]:
    """Each loop's values in the nine cells around its tip, and where such cells are."""
    index, _, valid = _patches(place, meant, shape, 1)
    rest = shape[1] * shape[2]
    index = torch.where(valid, index, rest).flatten(1)
    planes = []
    for i in range(values.shape[2]):
        plane = torch.zeros(shape[0], rest + 1, device=place.device)
        plane.scatter_(1, index, values[:, :, i : i + 1].expand(valid.shape).flatten(1))
        planes.append(plane[:, :rest])
    tips = torch.zeros(shape[0], rest + 1, device=place.device).scatter_(1, index, 1.0)[:, :rest]
    return torch.stack(planes, 1).view(shape[0], -1, *shape[1:]), tips.view(shape)


def _blurred(rgb: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Each picture with a bell of its own."""
    reach = 4
    along = torch.arange(-reach, reach + 1, device=rgb.device)
    kernel = torch.exp(-0.5 * (along / sigma.view(-1, 1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(rgb.shape[1], 0).unsqueeze(1)
    flat = functional.pad(rgb, (reach,) * 4, mode="reflect").flatten(0, 1).unsqueeze(0)
    flat = functional.conv2d(flat, kernel.unsqueeze(3), groups=len(kernel))
    return functional.conv2d(flat, kernel.unsqueeze(2), groups=len(kernel)).view(rgb.shape)
