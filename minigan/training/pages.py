"""What report.html and index.html are made of. They refer to nothing but files beside them, so they
work offline; colours follow the reader's light or dark mode."""

import html
import math
import os
from urllib.parse import quote_from_bytes

SECONDS_BETWEEN_RELOADS = 15
GENERATOR = '<meta name="generator" content="minigan">'

STYLE = """
:root { color-scheme: light dark; --text: #222; --soft: #5c5c5c; --line: #dcdcdc; --page: #fff;
        --card: #f7f7f5; --link: #1f5a8a; --alert: #fdf0e0; --accent: #c8643c; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e4e2; --soft: #a3a3a0; --line: #3a3d40;
        --page: #17191b; --card: #202326; --link: #8cbfe8; --alert: #3a2a1e; }
        img { filter: brightness(.88); } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
       max-width: 1100px; margin: 2em auto; padding: 0 1em; overflow-wrap: anywhere; }
a { color: var(--link); }
h1 { font-size: 1.5em; margin-bottom: 0; } h2 { font-size: 1.15em; margin-top: 2em; }
p.state { color: var(--soft); margin-top: .2em; }
p.warning { background: var(--alert); border-left: 4px solid var(--accent); padding: .5em 1em; }
progress { width: 100%; height: .6em; accent-color: var(--link); }
.wide { overflow-x: auto; } .wide table { overflow-wrap: normal; }
table { border-collapse: collapse; } td, th { padding: .15em 1.2em .15em 0; text-align: left;
        vertical-align: top; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
figure { margin: 0; } figcaption { font-size: .8em; color: var(--soft); }
"""


def document(title, style, body, reloads):
    """A whole page, in bytes.

    body     its lines
    reloads  whether it reloads itself every few seconds
    """
    refresh = f'<meta http-equiv="refresh" content="{SECONDS_BETWEEN_RELOADS}">' if reloads else ""
    lines = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">', GENERATOR,
             '<meta name="viewport" content="width=device-width, initial-scale=1">', refresh,
             f"<title>{text(title)}</title>", f"<style>{STYLE}{style}</style></head><body>", *body,
             "</body></html>", ""]
    # A folder's name may hold bytes that are no UTF-8: they are escaped.
    return "\n".join(lines).encode(errors="backslashreplace")


def text(value):
    return html.escape(str(value))


def link(path):
    """A relative path as a URL."""
    return quote_from_bytes(os.fsencode(str(path)))


def image(source, alt, kind=""):
    return f'<img class="{kind}" src="{link(source)}" alt="{text(alt)}" loading="lazy">'


def figure_text(value):
    """A number to four digits; "-" for anything else, and for one that is not finite."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else "-"


def duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes
            else f"{seconds} s")
