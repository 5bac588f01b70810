"""The look: system fonts, calm colours, and the style sheet and scripts that go into the page's head.

Hue is kept for meaning (Okabe-Ito: prefix blue, fine-tuned orange, base grey); controls are ink on paper.
The method colours themselves are CSS variables in app/shared/app.css, lighter in the dark.
"""

from pathlib import Path

import gradio as gr
from gradio.themes.utils.fonts import Font

from app.shared import plot_widget

# Font, not a bare string: Gradio takes those for files that it serves, and asks for them in vain.
SANS = [Font(name) for name in ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif")]
MONO = [Font(name) for name in ("ui-monospace", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")]
STYLES = (
    "shared/app.css",
    "compare/compare.css",
    "compare/article.css",
    "compare/gallery.css",
    "shared/plots.css",
    "attention/attention.css",
    "space/space.css",
    "mix/mix.css",
    "train/train.css",
    "results/results.css",
    "learn/learn.css",
    "learn/demos/demos.css",
    "export/export.css",
    "export/handout.css",
    "shared/present.css",
)
SCRIPTS = (
    "shared/shell.js",
    "compare/compare.js",
    "shared/address.js",
    "shared/tabs.js",
    "shared/figure_layout.js",
    "shared/plots.js",
    "attention/attention.js",
    "space/space.js",
    "train/train.js",
    "results/results.js",
    "mix/mix.js",
    "learn/demos/demos.js",
    "learn/learn.js",
    "export/embed.js",
    "export/handout.js",
    "export/as_python.js",
)
# Of the window of an installed app: --paper in app.css.
THEME_COLORS = """<meta name="theme-color" content="#f7f6f3" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#14171a" media="(prefers-color-scheme: dark)">"""
APP = Path(__file__).resolve().parents[1]


def theme() -> gr.Theme:
    """Gradio's own widgets in the page's colours (the variables stand in app.css)."""
    base = gr.themes.Base(font=SANS, font_mono=MONO, radius_size=gr.themes.sizes.radius_sm, text_size=gr.themes.sizes.text_md)
    both = {
        "body_background_fill": "var(--paper)",
        "body_text_color": "var(--ink)",
        "body_text_color_subdued": "var(--muted)",
        "background_fill_primary": "var(--sheet)",
        "background_fill_secondary": "var(--paper)",
        "block_background_fill": "transparent",
        "block_border_width": "0px",
        "block_label_text_color": "var(--muted)",
        "block_info_text_color": "var(--muted)",
        "block_title_text_color": "var(--muted)",
        "block_shadow": "none",
        "border_color_primary": "var(--line)",
        "border_color_accent": "var(--ink)",
        "input_background_fill": "var(--sheet)",
        "input_background_fill_focus": "var(--sheet)",
        "input_border_color": "var(--line)",
        "input_border_color_focus": "var(--ink)",
        "input_placeholder_color": "var(--muted)",
        "input_shadow": "none",
        "input_shadow_focus": "none",
        "button_primary_background_fill": "var(--ink)",
        "button_primary_background_fill_hover": "var(--ink-soft)",
        "button_primary_text_color": "var(--sheet)",
        "button_primary_border_color": "var(--ink)",
        "button_secondary_background_fill": "var(--sheet)",
        "button_secondary_background_fill_hover": "var(--wash)",
        "button_secondary_text_color": "var(--ink)",
        "button_secondary_border_color": "var(--line)",
        "color_accent_soft": "var(--wash)",
        "error_text_color": "var(--alert)",
        "link_text_color": "var(--ink)",
    }
    dark = {f"{name}_dark": value for name, value in both.items() if hasattr(base, f"{name}_dark")}
    return base.set(**both, **dark)


def head() -> str:
    """What goes into <head>, inline, so that nothing is fetched: style sheets and scripts.

    The style sheets go here and not through `launch(css=…)`: Gradio writes each of those rules out again under its own
    container, which loses shorthands with var() and all that hangs on <body>.
    """
    styles = [f"<style data-prefix-lab>\n{_read(name)}</style>" for name in STYLES]
    scripts = [f"<script>\n{_read(name)}</script>" for name in SCRIPTS]
    return "\n".join([THEME_COLORS, *styles, plot_widget.head(), *scripts])


def _read(name: str) -> str:
    return (APP / name).read_text(encoding="utf-8")
