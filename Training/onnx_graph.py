"""MONAI's ResNet as an ONNX graph, written node by node.

torch's exporter changes its graph with every version of torch and writes the paths of the machine into it. Written
like this, the same weights always make the same file, whose sha256 can be compared; a test compares its embeddings
with MONAI's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "slices", "features"

#: Read by onnxruntime since 1.15, and by any that is newer.
_OPSET, _IR_VERSION = 17, 8
#: Pixels of a slice along each side for one of the last features.
_STRIDE = 32


def onnx_model(module: torch.nn.Module, input_size: int) -> onnx.ModelProto:
    """The network of radiology_resnet() in ONNX.

    Weights are float16 and cast to float32 when the file is loaded; batch normalisation stays as it is, so that the
    numbers are those of the module's tensors, rounded once. onnxruntime folds both.

    Args:
        module: in evaluation mode.
        input_size: side of the square slices.

    Returns:
        "slices" float32 [batch, 3, size, size], normalised, to "features" float32 [batch, d]; batch is free.
    """
    from onnx import TensorProto, checker, helper

    graph = _Graph()
    made = graph.convolution(INPUT, "conv1", module.conv1)
    made = graph.node("Relu", [graph.normalisation(made, "bn1", module.bn1)])
    pool = module.maxpool
    made = graph.node("MaxPool", [made], **_window(pool.kernel_size, pool.stride, pool.padding))
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        for number, block in enumerate(getattr(module, stage)):
            made = graph.block(made, f"{stage}.{number}", block)
    made = graph.node("Flatten", [graph.average(made, module, input_size)])
    weight, bias = graph.tensor("fc.weight", module.fc.weight), graph.tensor("fc.bias", module.fc.bias)
    graph.node("Gemm", [made, weight, bias], output=OUTPUT, transB=1)
    slices = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 3, input_size, input_size])
    features = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", module.fc.out_features])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "radiology-resnet", [slices], [features], graph.tensors),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="VolumeRetrieval",
    )
    checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and tensors, in the order in which they are added; every method returns the name of what it makes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], output: str = "", **attributes: object) -> str:
        from onnx import helper

        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def tensor(self, name: str, values: torch.Tensor) -> str:
        """A float16 tensor of the file, as float32."""
        from onnx import TensorProto, numpy_helper

        half = values.detach().cpu().numpy().astype(np.float16)
        self.tensors.append(numpy_helper.from_array(half, name))
        return self.node("Cast", [name], output=f"{name}.float32", to=TensorProto.FLOAT)

    def convolution(self, source: str, name: str, layer: torch.nn.Conv2d) -> str:
        weight = self.tensor(f"{name}.weight", layer.weight)
        return self.node("Conv", [source, weight], **_window(layer.kernel_size, layer.stride, layer.padding))

    def normalisation(self, source: str, name: str, layer: torch.nn.BatchNorm2d) -> str:
        parts = ("weight", "bias", "running_mean", "running_var")
        tensors = [self.tensor(f"{name}.{part}", getattr(layer, part)) for part in parts]
        return self.node("BatchNormalization", [source, *tensors], epsilon=layer.eps)

    def average(self, source: str, module: torch.nn.Module, input_size: int) -> str:
        """The mean of the last features, or that of each place of a grid; equal places, as they are in the network."""
        if not isinstance(module.avgpool, torch.nn.Sequential):
            return self.node("GlobalAveragePool", [source])
        grid = module.avgpool[0].output_size
        side = -(-input_size // _STRIDE)
        if side % grid:
            raise ValueError(f"a grid of {grid} does not divide the {side} features along a side")
        return self.node("AveragePool", [source], **_window(side // grid, side // grid, 0))

    def block(self, source: str, name: str, block: torch.nn.Module) -> str:
        """Two convolutions and the shortcut around them (MONAI's ResNetBlock)."""
        made = self.convolution(source, f"{name}.conv1", block.conv1)
        made = self.node("Relu", [self.normalisation(made, f"{name}.bn1", block.bn1)])
        made = self.convolution(made, f"{name}.conv2", block.conv2)
        made = self.normalisation(made, f"{name}.bn2", block.bn2)
        shortcut = source
        if block.downsample is not None:
            shortcut = self.convolution(source, f"{name}.downsample.0", block.downsample[0])
            shortcut = self.normalisation(shortcut, f"{name}.downsample.1", block.downsample[1])
        return self.node("Relu", [self.node("Add", [made, shortcut])])


def _window(size: object, stride: object, padding: object) -> dict[str, list[int]]:
    """The attributes of a convolution or pooling; torch allows one number for both sides."""
    down, across = _pair(padding)
    return {"kernel_shape": _pair(size), "strides": _pair(stride), "pads": [down, across, down, across]}


def _pair(value: object) -> list[int]:
    return [int(value), int(value)] if isinstance(value, int) else [int(one) for one in value]
