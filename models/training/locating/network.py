"""The network: a fixed layer that takes the light off, and a U-Net over pixels of 4 um that answers on pixels of 8 um."""

import torch
from torch import nn
from torch.nn import functional

# What the answer's planes are. `apex`, `proximal`, `vessel`, `nail`, `abnormal` and `haemorrhage` are logits; `log_width` is the natural
# logarithm of um; `toward_x` and `toward_y` point from the limbs to the tip. The last four are only meant where a tip is.
MAPS = ("apex", "proximal", "vessel", "nail", "haemorrhage", "abnormal", "log_width", "toward_x", "toward_y")
NO_LOGITS = ("log_width", "toward_x", "toward_y")
STRIDE = 2
# Sides of the input are multiples of this.
MULTIPLE = 16
WIDTHS = (16, 32, 48, 80)


class Light(nn.Module):
    """From RGB of 0 to 1 to what stands out from the light: logarithms of green and of red over green, less their mean over about
    0.13 mm and less that of the whole picture. Nothing is learned here, and no gain of the lamp or the camera passes.
    """

    GAIN = (6.0, 8.0, 1.5, 3.0)
    SIGMA, REACH = 4.0, 10

    def __init__(self) -> None:
        super().__init__()
        bell = torch.exp(-0.5 * (torch.arange(-self.REACH, self.REACH + 1) / self.SIGMA) ** 2)
        self.register_buffer("bell", (bell / bell.sum()).view(1, 1, -1).repeat(2, 1, 1), persistent=False)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        light = torch.log(rgb * 255.0 + 4.0)
        green = light[:, 1:2]
        both = torch.cat([green, light[:, 0:1] - green], dim=1)
        small = functional.avg_pool2d(both, 8)
        pad = functional.pad(small, (self.REACH,) * 4, mode="replicate")
        around = functional.conv2d(pad, self.bell.unsqueeze(3), groups=2)
        around = functional.conv2d(around, self.bell.unsqueeze(2), groups=2)
        around = functional.interpolate(around, scale_factor=8.0, mode="bilinear", align_corners=False)
        whole = small.mean(dim=(2, 3), keepdim=True)
        planes = torch.cat([both - around, both - whole], dim=1)
        return (planes * planes.new_tensor(self.GAIN).view(1, 4, 1, 1)).clamp(-4.0, 4.0)


def _conv(into: int, out: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    pad = dilation * (kernel // 2)
    return nn.Sequential(nn.Conv2d(into, out, kernel, stride, pad, dilation, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class Residual(nn.Module):
    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = _conv(width, width, dilation=dilation)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.second(self.first(x)), inplace=True)


class Body(nn.Module):
    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.down2 = nn.Sequential(_conv(4, a, 5, 2), _conv(a, a))
        self.down4 = nn.Sequential(_conv(a, b, 3, 2), Residual(b))
        self.down8 = nn.Sequential(_conv(b, c, 3, 2), Residual(c), Residual(c))
        self.down16 = nn.Sequential(_conv(c, d, 3, 2), Residual(d), Residual(d, 2), Residual(d, 4), Residual(d, 8))
        self.up8 = nn.Sequential(_conv(d + c, c, 1), Residual(c))
        self.up4 = nn.Sequential(_conv(c + b, b, 1), Residual(b))
        self.up2 = nn.Sequential(_conv(b + a, a, 1), _conv(a, a), _conv(a, a))
        self.answer = nn.Conv2d(a, len(MAPS), 1)
        with torch.no_grad():
            self.answer.bias.zero_()
            # Tips and bleedings are rare.
            for name in ("apex", "proximal", "haemorrhage"):
                self.answer.bias[MAPS.index(name)] = -4.0
            self.answer.bias[MAPS.index("log_width")] = 2.6

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        two = self.down2(planes)
        four = self.down4(two)
        eight = self.down8(four)
        y = self.down16(eight)
        for level, up in ((eight, self.up8), (four, self.up4), (two, self.up2)):
            y = up(torch.cat([functional.interpolate(y, scale_factor=2.0, mode="nearest"), level], dim=1))
        return self.answer(y)


class Locator(nn.Module):
    """What ships."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.light = Light()
        self.body = Body(widths)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return self.body(self.light(rgb))
