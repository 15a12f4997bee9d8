"""p-diff's five small networks (appendix A.2), whole: images `[M, 3, S, S]` in, logits `[M, K]` out.

Counts of table 6 are for STL-10; those here are for CIFAR-10 at 32 pixels unless said otherwise. Where the paper's
description and its count disagree, the description is followed. None of them has a buffer: a row of all parameters is
the whole network.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

#: RGB to luminance.
_GREY = (0.299, 0.587, 0.114)


class MLPMini(nn.Module):
    """Linear layers 1024-64-16-K over a grey picture of 32 x 32.

    The description has 66,810 numbers; table 6 counts 66,970, which is exact with an affine norm on both hidden layers.
    So there is one here, a layer norm, which needs no buffers.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear1, self.norm1 = nn.Linear(1024, 64), nn.LayerNorm(64)
        self.linear2, self.norm2 = nn.Linear(64, 16), nn.LayerNorm(16)
        self.linear3 = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        grey = sum(share * x[:, place] for place, share in enumerate(_GREY))
        small = F.adaptive_avg_pool2d(grey[:, None], 32) if x.shape[-1] != 32 else grey  # type: ignore[index]
        hidden = F.relu(self.norm1(self.linear1(small.flatten(1))))  # type: ignore[union-attr]
        return self.linear3(F.relu(self.norm2(self.linear2(hidden))))


class ConvNetMini(nn.Module):
    """Three convolutions (3, 8, 7), (8, 8, 3), (8, 4, 3), each halved by pooling, and linear layers 64-16-K.

    3,270 numbers as described. Table 6 counts 24,262, of which no reading of the description gives an account.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 7, padding=3), nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 4, 3, padding=1)
        self.linear1, self.linear2 = nn.Linear(64, 16), nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.conv1, self.conv2):
            x = F.relu(F.max_pool2d(layer(x), 2))
        return self.linear2(F.relu(self.linear1(F.relu(_to_four(self.conv3(x))))))


class Bottleneck(nn.Module):
    """A residual block: 1 x 1 down to `inside` channels, 3 x 3, 1 x 1 up again."""

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.down, self.conv = nn.Conv2d(width, inside, 1), nn.Conv2d(inside, inside, 3, padding=1)
        self.up = nn.Conv2d(inside, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.up(F.relu(self.conv(F.relu(self.down(x))))))


class ResNetMini(nn.Module):
    """A convolution (3, 8, 3), two residual blocks of 8 channels with a bottleneck of 4, and linear layers 128-16-K.

    2,906 numbers as described. Table 6 counts 25,138, of which no reading of the description gives an account.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.block1, self.block2 = Bottleneck(8, 4), Bottleneck(8, 4)
        self.linear1, self.linear2 = nn.Linear(128, 16), nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block1(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = _to_four(self.block2(F.max_pool2d(x, 2)))
        return self.linear2(F.relu(self.linear1(x)))


class Attention(nn.Module):
    """Self-attention of `heads` heads of `size` numbers, without biases."""

    def __init__(self, width: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads, self.norm = heads, nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * heads * size, bias=False)
        self.out = nn.Linear(heads * size, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class ViTMini(nn.Module):
    """64 tokens of 64 numbers, 4 blocks of 4 heads of 8 numbers, feed-forward 64; positions are fixed waves.

    71,210 numbers at 32 pixels (patches of 4) and 80,714 at 64 (patches of 8), which is what table 6 counts: so its
    STL-10 pictures have 64 pixels.
    """

    waves: Tensor

    def __init__(self, classes: int, size: int = 32) -> None:
        super().__init__()
        self.patch, width = size // 8, 64
        numbers = 3 * self.patch**2
        self.norm_in, self.embed, self.norm = nn.LayerNorm(numbers), nn.Linear(numbers, width), nn.LayerNorm(width)
        self.attend = nn.ModuleList(Attention(width, 4, 8) for _ in range(4))
        self.feed = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width)) for _ in range(4)
        )
        self.norm_out, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        self.register_buffer("waves", _waves(8, width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        patches = x.unfold(2, self.patch, self.patch).unfold(3, self.patch, self.patch)
        tokens = patches.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
        tokens = self.norm(self.embed(self.norm_in(tokens))) + self.waves
        for attend, feed in zip(self.attend, self.feed, strict=True):
            tokens = tokens + attend(tokens)
            tokens = tokens + feed(tokens)
        return self.head(self.norm_out(tokens).mean(dim=1))


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of `[M, C, H, W]`."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution of 7 x 7 and two linear layers of four times the width, with a learned scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1e-1))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.narrow(F.gelu(self.wide(hidden)))).permute(0, 3, 1, 2)


class ConvNeXtMini(nn.Module):
    """Stages of 1, 2, 2, 2 blocks of 16, 32, 32, 32 channels, behind a stem that cuts patches of 4.

    74,970 numbers, as table 6 counts.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 4, stride=4), ChannelNorm(16), ConvNeXtBlock(16)]
        for inner in (16, 32, 32):
            layers += [ChannelNorm(inner), nn.Conv2d(inner, 32, 2, stride=2), ConvNeXtBlock(32), ConvNeXtBlock(32)]
        self.stages = nn.Sequential(*layers)
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.stages(x).mean(dim=(2, 3))))


#: By the paper's names in small letters: (classes, picture's side in pixels) -> the network.
MINI: dict[str, Callable[[int, int], nn.Module]] = {
    "convnet-mini": lambda classes, size: ConvNetMini(classes),
    "mlp-mini": lambda classes, size: MLPMini(classes),
    "resnet-mini": lambda classes, size: ResNetMini(classes),
    "vit-mini": ViTMini,
    "convnext-mini": lambda classes, size: ConvNeXtMini(classes),
}


def _to_four(x: Tensor) -> Tensor:
    """Maps `[M, C, H, W]` halved to 4 x 4 positions and flattened, `[M, 16 C]`."""
    return F.adaptive_max_pool2d(x, 4).flatten(1) if x.shape[-1] != 8 else F.max_pool2d(x, 2).flatten(1)


def _waves(side: int, width: int) -> Tensor:
    """Sines and cosines of the places of side x side tokens, `[side^2, width]`."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    rates = 1 / 10_000 ** (torch.arange(width // 4) / (width // 4 - 1))
    angles = [place.flatten()[:, None] * rates for place in (x, y)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
