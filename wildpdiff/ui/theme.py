"""How the page looks: one typeface, one accent, light and dark."""

from __future__ import annotations

import html
import os

import gradio as gr

from ..plots.series import PLACES, PLACES_DARK
from ..web import styles
from ..web.packed import PLOTLY_PATH
from ..web.scripts import bundle

LIGHT = {
    "ground": "#f6f4ef", "panel": "#fffefb", "ink": "#211f1a", "ink-soft": "#625d52", "hairline": "#e2ddd1",
    "accent": "#b3480c", "accent-soft": "#f1c8a6", "on-accent": "#ffffff", "problem": "#a31621",
}  # fmt: skip
DARK = {
    "ground": "#161512", "panel": "#1f1d19", "ink": "#f1ede3", "ink-soft": "#b3ab9b", "hairline": "#37332b",
    "accent": "#f08c42", "accent-soft": "#6d4425", "on-accent": "#1b1208", "problem": "#ff8f8f",
}  # fmt: skip


def _variables(colours: dict[str, str], places: tuple[str, ...]) -> str:
    named = colours | {f"place-{index}": colour for index, colour in enumerate(places)}
    return "".join(f"--{name}: {value};" for name, value in named.items())


def theme() -> gr.themes.Base:
    """IBM Plex Sans from Gradio's own files, warm greys, one burnt orange."""
    fonts: list[gr.themes.Font | str] = [
        gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)),
        "system-ui",
        "sans-serif",
    ]
    mono: list[gr.themes.Font | str] = [gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "monospace"]
    base = gr.themes.Base(primary_hue="orange", neutral_hue="stone", font=fonts, font_mono=mono)
    return base.set(
        body_background_fill="var(--ground)", body_background_fill_dark="var(--ground)",
        body_text_color="var(--ink)", body_text_color_dark="var(--ink)",
        background_fill_primary="var(--panel)", background_fill_primary_dark="var(--panel)",
        block_background_fill="transparent", block_background_fill_dark="transparent",
        block_border_width="0px", block_shadow="none", block_label_text_color="var(--ink-soft)",
        block_title_text_color="var(--ink)", block_title_text_color_dark="var(--ink)",
        block_info_text_color="var(--ink-soft)", block_info_text_color_dark="var(--ink-soft)",
        border_color_primary="var(--hairline)", border_color_primary_dark="var(--hairline)",
        slider_color="var(--accent)", slider_color_dark="var(--accent)",
        button_primary_background_fill="var(--accent)", button_primary_background_fill_dark="var(--accent)",
        button_primary_background_fill_hover="var(--accent)", button_primary_background_fill_hover_dark="var(--accent)",
        button_primary_text_color="var(--on-accent)", button_primary_text_color_dark="var(--on-accent)",
        button_secondary_background_fill="var(--panel)", button_secondary_background_fill_dark="var(--panel)",
        button_secondary_text_color="var(--ink)", button_secondary_text_color_dark="var(--ink)",
        checkbox_background_color_selected="var(--accent)",
        checkbox_background_color_selected_dark="var(--accent)",
        checkbox_border_color_selected="var(--accent)",
        checkbox_border_color_selected_dark="var(--accent)",
        input_background_fill="var(--panel)", input_background_fill_dark="var(--panel)",
    )  # fmt: skip


def head() -> str:
    """Everything that the browser needs beside Gradio, from this server alone: plotly and the page's scripts."""
    space = os.environ.get("SPACE_ID", "")
    meta = f'<meta name="wpd-space" content="{html.escape(space)}">' if space else ""
    return f"""<link id="plotly-file" rel="preload" as="script" fetchpriority="low" href="{PLOTLY_PATH}">
<meta name="description" content="A diffusion model writes the adapter of a wildlife classifier.">{meta}
<script>{bundle()}</script>"""


def css() -> str:
    """The style sheets, in the order of their names."""
    root = f":root {{ {_variables(LIGHT, PLACES)} }} .dark {{ {_variables(DARK, PLACES_DARK)} }}"
    return root + styles()
