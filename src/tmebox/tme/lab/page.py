"""The tour as one web page, with pictures of keys, caches and DRAM. It needs no script and nothing from
elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from tmebox.tme.events import ALARM, colour
from tmebox.tme.inspection import CachedLine, KeySlot
from tmebox.tme.lab.observed import DramPicture, Observed
from tmebox.tme.lab.tour import Step

SQUARE = 8
_STYLE = """ :root { color-scheme: light; } body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem;
margin: 0 auto; padding: 1rem; color: #222; background: #fff; } h1 { font-size: 1.7rem; } h2 { font-size:
1.25rem; margin-top: 2.5rem; border-top: 1px solid #ddd; padding-top: 1rem; } h3 { font-size: .85rem;
text-transform: uppercase; letter-spacing: .06em; color: #666; margin: 1rem 0 .3rem; } code, pre {
font-family: ui-monospace, monospace; font-size: .85rem; background: #f5f5f5; border-radius: 4px; } code {
padding: .1rem .3rem; } pre { padding: .6rem .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap:
anywhere; } .found { border-left: 4px solid #4477aa; padding-left: .8rem; white-space: pre-wrap;
overflow-wrap: anywhere; } .found.stopped { border-color: #cc3311; } table { border-collapse: collapse;
font-size: .85rem; } td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
.pictures { overflow-x: auto; } .key { display: inline-block; border-radius: 4px; padding: .1rem .6rem;
margin: 0 .4rem .3rem 0; color: #fff; font-size: .8rem; } nav ol { columns: 2; font-size: .9rem; }
"""


def page(steps: Iterable[Step]) -> str:
    """The whole document."""
    done = list(steps)
    contents = "".join(
        f'<li><a href="#step-{number}">{escape(step.title)}</a></li>' for number, step in enumerate(done, 1)
    )
    sections = "\n".join(_section(number, step) for number, step in enumerate(done, 1))
    return f"""<!DOCTYPE html>
<html lang="en"> <head> <meta charset="utf-8"> <meta name="viewport" content="width=device-width,
initial-scale=1"> <title>TME-MK, live</title> <style>{_STYLE}</style> </head> <body> <h1>TME-MK, live</h1>
<p>Each step ran on tmebox's model of Intel's memory encryption while this page was written. A KeyID has its
colour in every picture. Timing is not modelled: the timelines show an order, and hardware delivers machine
checks some time after the access.</p> <nav><ol>{contents}</ol></nav> {sections} </body> </html>
"""


def _section(number: int, step: Step) -> str:
    stopped = " stopped" if "Error:" in step.found or "GeneralProtection:" in step.found else ""
    return f"""<section id="step-{number}">
<h2>{number}. {escape(step.title)}</h2>
<p>{escape(step.says)}</p>
<pre>{escape(step.code)}</pre>
<p class="found{stopped}">{escape(step.found)}</p>
{_layers(step.observed)}
{_keys(step.observed.keys)}
{_cache(step.observed.cached)}
{_dram(step.observed.dram)}
{_timeline(step.observed)}
</section>"""


def _layers(observed: Observed) -> str:
    rows = "".join(
        f"<tr><th>{escape(layer)}</th><td>{escape(text)}</td></tr>" for layer, text in observed.layers.items()
    )
    return f"<h3>What every layer saw</h3><table>{rows}</table>"


def _keys(slots: tuple[KeySlot, ...]) -> str:
    if not slots:
        return ""
    chips = "".join(
        f'<span class="key" style="background:{colour(slot.key_id)}">KeyID {slot.key_id}: '
        f"{escape(slot.mode)}, {escape(slot.algorithm or 'plain text')}</span>"
        for slot in slots
    )
    return f"<h3>Keys</h3><div>{chips}</div>"


def _cache(lines: tuple[CachedLine, ...]) -> str:
    if not lines:
        return "<h3>Caches</h3><p>None of these lines is cached.</p>"
    rows = []
    for index, line in enumerate(lines):
        y = index * 26
        state = ", ".join(word for word, on in (("dirty", line.dirty), ("poisoned", line.poisoned)) if on)
        fill = ALARM if line.poisoned else colour(line.key_id)
        rows.append(
            f'<rect x="0" y="{y}" width="150" height="22" rx="3" fill="{fill}"/>'
            f'<text x="8" y="{y + 15}" fill="#fff">KeyID {line.key_id}, {line.address:#x}</text>'
            f'<text x="160" y="{y + 15}">{escape(_shown(line.data))}</text>'
            f'<text x="520" y="{y + 15}" fill="#666">{state or "clean"}</text>'
        )
    return f"<h3>Caches: tag, plain text, state</h3>{_svg(620, 26 * len(lines), rows, 'Lines in the cache')}"


def _dram(lines: tuple[DramPicture, ...]) -> str:
    rows = []
    for index, picture in enumerate(lines):
        line, y = picture.line, index * 28
        owner = picture.verifying[0] if picture.verifying else None
        rows.append(f'<text x="0" y="{y + 14}">{line.address:#x}</text>')
        for place, byte in enumerate(line.ciphertext):
            shade = 240 - byte * 7 // 10
            x = 66 + place * SQUARE
            rows.append(
                f'<rect x="{x}" y="{y + 2}" width="{SQUARE - 1}" height="16" '
                f'fill="rgb({shade},{shade},{shade})"/>'
            )
        label = (
            "verifies under KeyID " + ", ".join(map(str, picture.verifying))
            if picture.verifying
            else "no MAC fits"
        )
        fill = ALARM if line.poisoned else colour(owner) if owner is not None else "#888"
        text = "poisoned" if line.poisoned else label if len(label) < 60 else label[:57] + "…"
        rows.append(
            f'<text x="{74 + 64 * SQUARE}" y="{y + 14}" fill="{fill}">MAC {line.mac:07x}'
            f"{', TD' if line.td else ''}: {escape(text)}</text>"
        )
    return f"<h3>DRAM: bytes as shades, and the MAC</h3>{_svg(920, 28 * len(lines), rows, 'Lines in DRAM')}"


def _timeline(observed: Observed) -> str:
    if not observed.trace:
        return ""
    shown = observed.trace[-40:]
    left = len(observed.trace) - len(shown)
    note = f" (the last {len(shown)}; {left} before them are left out)" if left else ""
    return f'<h3>Events, in order{note}</h3><div class="pictures">{shown.svg()}</div>'


def _svg(width: int, height: int, parts: list[str], title: str) -> str:
    return (
        f'<div class="pictures"><svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="ui-monospace, monospace" font-size="12" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg></div>"
    )


def _shown(data: bytes) -> str:
    text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in data[:48])
    return text.rstrip(" ·") or "zeros" if not data.strip(b"\0 ") else text.rstrip()
