"""A classifier with its adapter as one ONNX file: photographs of any size in, scores out. The door to onnx and
onnxruntime.

Its graph resizes as the house reads photographs (`picture.read_frame`): squeezed into the square, bilinear with
antialiasing, on whole levels. onnxruntime does that as Pillow does, but that some numbers (one in 5,000 in photographs)
are one level off.
"""

from __future__ import annotations

import io
import json
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .. import __version__
from ..cores import cores
from ..errors import UserError
from ..files import write_whole
from ..worlds.reader import AROUND
from .adapted import Adapted, check_ending, check_free

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from onnxruntime import InferenceSession

#: What to type to have the packages.
INSTALL = "pip install wildpdiff[onnx]"
#: The script that goes beside the file.
SCRIPT = "name_photographs.py"
#: Names of the graph's input and outputs.
PHOTOGRAPHS, SCORES, LOGITS = "photographs", "scores", "logits"
#: A logit may differ from the classifier's by less than this.
NEAR = 1e-3
OPSET = 18
_PREPARED, _ROUNDS = "prepared", 30


@dataclass(frozen=True)
class Checked:
    """What was measured on a written file.

    Attributes:
        photographs: how many were named by file and classifier; every one got the same name.
        difference: largest difference of a logit.
        megabytes: size of the file.
        milliseconds: for one photograph of the classifier's size on the CPU, the median.
        threads: that it ran on.
    """

    photographs: int
    difference: float
    megabytes: float
    milliseconds: float
    threads: int

    def words(self) -> str:
        """The same in a sentence."""
        return (
            f"{self.megabytes:.1f} MB; {self.milliseconds:.1f} ms a photograph on {self.threads} CPU thread(s), the "
            f"median of {_ROUNDS}; {self.photographs} photographs named as by the classifier, logits apart by at most "
            f"{self.difference:.1e}."
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return asdict(self)


def write_onnx(adapted: Adapted, out: Path, photographs: Sequence[Tensor], *, around: float = AROUND) -> Checked:
    """Write the file and the script beside it, checked on photographs before it takes its name.

    Args:
        adapted: the classifier.
        out: a new file that ends in `.onnx`.
        photographs: uint8 `[M, 3, H, W]`, in groups of one size; of the classifier's size, or larger or smaller.
        around: side of the square that the script cuts around a box, in longer sides of the box.

    Raises:
        UserError: if the packages are missing, `out` exists or cannot be written, or the file names a photograph
            otherwise than the classifier.
    """
    check_ending(out, ".onnx", "onnx")
    beside, text = out.with_name(SCRIPT), Path(__file__).with_name(SCRIPT).read_text(encoding="utf-8")
    taken = beside.exists() and beside.read_text(encoding="utf-8", errors="replace") != text
    check_free([out, beside] if taken else [out])
    content = onnx_model(adapted, around=around).SerializeToString()
    checked = _checked(content, adapted, photographs)
    write_whole(out, lambda temporary: temporary.write_bytes(content))
    if not beside.exists():
        write_whole(beside, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return checked


def onnx_model(adapted: Adapted, *, around: float = AROUND) -> ModelProto:
    """The model: uint8 `photographs` `[M, H, W, 3]` to softmax `scores` `[M, K]` and `logits` `[M, K]`.

    Its metadata has everything of `Adapted.about`, values as JSON, and `around`, the program's version, what the
    input means.

    Raises:
        UserError: if the packages are missing.
    """
    onnx, _ = _packages()
    helper, numbers = onnx.helper, onnx.numpy_helper
    model = onnx.load_from_string(_network(adapted.network.cpu(), adapted.size))
    kind, shape = onnx.TensorProto.UINT8, ["M", "H", "W", 3]
    entering = helper.make_tensor_value_info(PHOTOGRAPHS, kind, shape)
    leaving = helper.make_tensor_value_info(SCORES, onnx.TensorProto.FLOAT, ["M", len(adapted.backbone.species)])
    nodes = [*_preparation(helper, onnx.TensorProto.FLOAT), *model.graph.node]
    nodes.append(helper.make_node("Softmax", [LOGITS], [SCORES], axis=1))
    standard = adapted.backbone.standard
    constants = {
        "sides": np.array([adapted.size] * 2, dtype=np.int64),
        "mean": 255 * np.array(standard.mean, dtype=np.float32)[:, None, None],
        "std": 255 * np.array(standard.std, dtype=np.float32)[:, None, None],
    }
    weights = [numbers.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes, "classifier", [entering], [leaving, *model.graph.output], [*weights, *model.graph.initializer]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="wildpdiff")
    made.ir_version = model.ir_version
    about = adapted.about | {"around": around, "program": f"wildpdiff {__version__}", "input": "RGB, 0 to 255"}
    helper.set_model_props(made, {key: json.dumps(value) for key, value in about.items()})
    onnx.checker.check_model(made)
    return made


def _preparation(helper: Any, float32: int) -> list[NodeProto]:
    """Nodes from `photographs` to `prepared`; see the module."""
    resize = {"mode": "linear", "antialias": 1, "exclude_outside": 1, "coordinate_transformation_mode": "half_pixel"}
    return [
        helper.make_node("Resize", [PHOTOGRAPHS, "", "", "sides"], ["small"], axes=[1, 2], **resize),
        helper.make_node("Transpose", ["small"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["channels_first"], ["levels"], to=float32),
        helper.make_node("Sub", ["levels", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], [_PREPARED]),
    ]


def _network(network: nn.Module, size: int) -> bytes:
    """A network as an ONNX model of float32 `prepared` `[M, 3, size, size]` to `logits`.

    By the exporter that follows the network once, which needs no further package; batch norms are folded.
    """
    stream: Any = io.BytesIO()
    axes = {_PREPARED: {0: "M"}, LOGITS: {0: "M"}}
    names: dict[str, Any] = {"input_names": [_PREPARED], "output_names": [LOGITS], "dynamic_axes": axes}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of itself
        example = (torch.zeros(2, 3, size, size),)
        torch.onnx.export(network, example, stream, dynamo=False, opset_version=OPSET, **names)
    content: bytes = stream.getvalue()
    return content


def _checked(content: bytes, adapted: Adapted, photographs: Sequence[Tensor]) -> Checked:
    """The file held against the classifier.

    Raises:
        UserError: if there is no photograph, or one is named otherwise.
    """
    session, count, apart, named = session_of(content), 0, 0.0, True
    network, device = adapted.network, next(adapted.backbone.parameters()).device
    for one in (one for group in photographs for one in group.split(1)):
        with torch.no_grad():
            expected = network(adapted.backbone.prepared(_squeezed(one, adapted.size).to(device))).cpu().numpy()
        found = run(session, one)[1]
        count, named = count + 1, named and int(found.argmax()) == int(expected.argmax())
        apart = max(apart, float(np.abs(found - expected).max()))
    if not count:
        raise UserError("The file could not be checked, as the bundle has no photographs.")
    if not named or not apart < NEAR:
        raise UserError(
            f"The ONNX file does not do as the classifier (logits apart by up to {apart:.1e}), so it was not written; "
            "please report it with the architecture's name."
        )
    size = adapted.size
    blank = np.zeros((1, size, size, 3), dtype=np.uint8)
    return Checked(count, apart, len(content) / 1e6, _milliseconds(session, blank), cores())


def _squeezed(photograph: Tensor, size: int) -> Tensor:
    """A photograph, uint8 `[1, 3, H, W]`, in the classifier's size as Pillow resizes; as it is if it has it."""
    if tuple(photograph.shape[-2:]) == (size, size):
        return photograph
    picture = Image.fromarray(photograph[0].permute(1, 2, 0).numpy())
    small = np.array(picture.resize((size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(small).permute(2, 0, 1)[None]


def session_of(content: bytes) -> InferenceSession:
    """The file, ready to run on the CPU with as many threads as there are cores.

    Raises:
        UserError: if the packages are missing.
    """
    _, onnxruntime = _packages()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    session: InferenceSession = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session


def run(session: InferenceSession, photographs: Tensor) -> tuple[Any, Any]:
    """Scores and logits, `[M, K]` each, of photographs, uint8 `[M, 3, H, W]`."""
    pixels = photographs.permute(0, 2, 3, 1).contiguous().numpy()
    scores, logits = session.run([SCORES, LOGITS], {PHOTOGRAPHS: pixels})
    return scores, logits


def _milliseconds(session: InferenceSession, pixels: Any) -> float:
    """Median time of one photograph, after a first one that is not counted."""
    taken = []
    for _ in range(_ROUNDS + 1):
        begun = time.perf_counter()
        session.run([SCORES], {PHOTOGRAPHS: pixels})
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken[1:])


def _packages() -> tuple[Any, Any]:
    """onnx and onnxruntime.

    Raises:
        UserError: naming what to install.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(f"The format onnx needs two more packages; run `{INSTALL}`.") from error
    return onnx, onnxruntime
