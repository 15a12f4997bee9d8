"""The app of the bundled world; the entry of the Hugging Face Space."""

from pathlib import Path

from wildpdiff.studio.zero import begin

BUNDLE = Path(__file__).parent / "assets" / "savanna"

if __name__ == "__main__":
    zero = begin()  # ZeroGPU wants to be there before PyTorch, which the modules below import

    from wildpdiff.cli import device_of
    from wildpdiff.ui.api import has_mcp
    from wildpdiff.ui.app import serve

    serve(BUNDLE, device="cpu" if zero else device_of("auto"), host=None, mcp=has_mcp())
