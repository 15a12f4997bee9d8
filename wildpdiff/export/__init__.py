"""Adapters for other programs: a PEFT folder, timm's checkpoint, or one ONNX file with a script that needs no torch."""
