"""The app of the bundled savanna; the entry of the Hugging Face Space."""

from pathlib import Path

from wildpdiff.cli import device_of
from wildpdiff.ui.app import serve

BUNDLE = Path(__file__).parent / "assets" / "savanna"

if __name__ == "__main__":
    serve(BUNDLE, device=device_of("auto"), host=None)
