"""Where a CLIP and its weights come from: a folder, the hub, or an architecture of open_clip with a name or file."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..files import is_file, load_json, sha256

LOCAL, HUB = "local-dir:", "hf-hub:"
CONFIG_FILE, WEIGHTS_FILE = "open_clip_config.json", "open_clip_model.safetensors"


def check_clip(name: str) -> None:
    """Refuse what `keep_clip` could not copy; its weights may be fetched for that, but no network is made.

    Raises:
        UserError: as `ClipCondition.load`.
    """
    source_of(*taken_apart(name))


def taken_apart(name: str) -> tuple[str, str | None]:
    """`MODEL/WEIGHTS` as a model's name and that of its weights; a folder and the hub's names have their own."""
    model, _, pretrained = (name, "", "") if name.startswith((LOCAL, HUB)) else name.partition("/")
    return model, pretrained or None


@dataclass(frozen=True)
class Source:
    """Checked arguments for open_clip, and the name of what they give."""

    model: str
    pretrained: str | None
    name: str
    quick_gelu: bool = False


def source_of(model: str, pretrained: str | None) -> Source:
    if model.startswith((LOCAL, HUB)) and pretrained is not None:
        raise UserError(f"'{_shown(model)}' brings its own weights; leave the second name away.")
    if model.startswith(LOCAL):
        return _folder(model, Path(model.removeprefix(LOCAL)))
    if model.startswith(HUB):
        return Source(model, None, model.removeprefix(HUB))
    return _architecture(model, pretrained)


def _folder(model: str, folder: Path) -> Source:
    config, weights = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    for file in (config, weights):
        if not is_file(file):
            raise UserError(
                f"The CLIP folder '{folder.name}' has no '{file.name}'; give a folder saved in open_clip's form."
            )
    content = load_json(config)
    if not isinstance(content, dict) or "model_cfg" not in content:
        raise UserError(
            f"'{CONFIG_FILE}' in '{folder.name}' has no 'model_cfg'; give a folder saved in open_clip's form."
        )
    if "trust_remote_code" in json.dumps(content):
        raise UserError(
            f"'{CONFIG_FILE}' in '{folder.name}' asks for code of somebody else's to be run; do not use it."
        )
    return Source(model, None, f"{content.get('name', folder.resolve().name)}/{sha256(weights)[:12]}")


def _architecture(model: str, pretrained: str | None) -> Source:
    import open_clip

    known = open_clip.list_models()
    if model not in known:
        near = difflib.get_close_matches(model, known, n=3, cutoff=0.3) or ["ViT-B-32"]
        raise UserError(
            f"open_clip knows no such model as '{_shown(model)}'; names near it: {', '.join(near)}; "
            f"a folder is given as '{LOCAL}folder'."
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if pretrained is None:
        raise UserError(f"Say which weights of '{model}' to use: {_choice(tags)}.")
    if open_clip.get_pretrained_cfg(model, pretrained):
        return _tagged(model, pretrained)
    file = Path(pretrained)
    if file.suffix != ".safetensors" or not is_file(file):
        raise UserError(f"'{_shown(pretrained)}' is no weights of '{model}'; use {_choice(tags)}.")
    return Source(model, pretrained, f"{model}/{sha256(file)[:12]}")


def _tagged(model: str, tag: str) -> Source:
    """Published weights, fetched now if they are not on this machine yet."""
    import open_clip

    published = open_clip.get_pretrained_cfg(model, tag)
    try:
        open_clip.download_pretrained(published)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise UserError(
            f"The weights '{tag}' of '{model}' are not on this machine and could not be fetched; connect to the "
            "internet once, or give a .safetensors file."
        ) from error
    return Source(model, tag, f"{model}/{tag.lower().replace('-', '_')}", bool(published.get("quick_gelu")))


def _choice(tags: list[str]) -> str:
    """The possible weights, in words."""
    return f"one of {', '.join(tags)}, or a .safetensors file" if tags else "a .safetensors file"


def _shown(name: str) -> str:
    """A user's name for something, without the folders that lead to it."""
    return Path(name).name
