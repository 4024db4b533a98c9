"""The page's CSS, with the colours of `style`, so that page and figures are of one piece."""

from __future__ import annotations

from collections.abc import Sequence

from sparcl_ref.report import style
from sparcl_ref.report.style import DARK, LIGHT, Theme
from sparcl_ref.report.table import Row

#: Where the page is too narrow for figures and tables as they are drawn for a desk.
NARROW_SCREEN = "(max-width: 640px)"
#: Steps of the heat scale in the accuracy tables.
HEAT_STEPS = 20

LAYOUT = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;color-scheme:light dark}
body{margin:0;background:var(--background);color:var(--ink);
 font:17px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:1064px;margin:0 auto;padding:3.2rem 1.5rem 4rem}
h1{font-size:clamp(1.7rem,1.1rem + 2.6vw,2.7rem);line-height:1.15;letter-spacing:-.02em;margin:.15em 0 .35em;
 text-wrap:balance}
h2{font-size:1.4rem;letter-spacing:-.01em;line-height:1.25;margin:3.6rem 0 .8rem}
p,ul,dl{margin:.6rem 0}
p,li,dd,figcaption{max-width:46rem}
a{color:var(--accent)}
.eyebrow,.facts,figcaption,.note,caption,thead th,.std,.times,dl.figures dt,footer{color:var(--muted)}
.eyebrow{font-size:.86rem;letter-spacing:.06em;text-transform:uppercase;margin:0}
.facts{margin:0 0 2rem;max-width:none}
.answer{border-left:4px solid var(--mark);padding:.2rem 0 .2rem 1.3rem;margin:1.6rem 0}
.answer p{font-size:clamp(1.08rem,1rem + .5vw,1.32rem);line-height:1.5;max-width:50rem;margin:.5rem 0;text-wrap:pretty}
.whole{white-space:nowrap}
.note,figcaption,nav ul,.key{font-size:.95rem}
.caveats,nav ul,.key{list-style:none;padding:0}
nav ul,.key{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem}
nav{margin-top:2rem}
figure,dd{margin:0}
figure img{display:block;max-width:100%;height:auto}
figcaption{margin-top:.5rem}
.narrow,.key.narrow{display:none}
.scroll{overflow-x:auto;margin:.8rem 0;
 background:linear-gradient(90deg,var(--background) 30%,transparent) -2px 0/2.5rem 100%,
 linear-gradient(270deg,var(--background) 30%,transparent) calc(100% + 2px) 0/2.5rem 100%,
 linear-gradient(90deg,var(--muted),transparent) left/.5rem 100%,
 linear-gradient(270deg,var(--muted),transparent) right/.5rem 100%;
 background-repeat:no-repeat;background-attachment:local,local,scroll,scroll}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;font-size:.92rem;line-height:1.35;font-variant-numeric:tabular-nums}
caption{text-align:left;font-size:.88rem;padding:.2rem 0 .4rem}
th,td{padding:.45rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--faint)}
thead th{font-weight:500;vertical-align:bottom}
th:first-child{text-align:left;font-weight:500}
thead .group{text-align:center;border-bottom-color:var(--muted)}
thead .group:nth-child(2){border-bottom-color:var(--faint)}
.results{width:100%;font-size:.88rem}
.results th,.results td{padding:.45rem .4rem}
.results tbody th{position:sticky;left:0;background:var(--background)}
.results tbody tr:hover>*{background:var(--surface)}
.results .top{font-weight:700}
.results .family th{color:var(--muted);padding-top:1.1rem}
.bar{display:block;height:3px;margin-top:.25rem;border-radius:2px;background:var(--faint)}
.bar i{display:block;height:100%;border-radius:2px;background:var(--entry)}
.swatch{display:inline-block;width:.72em;height:.72em;border-radius:50%;margin-right:.55em;
 border:2px solid var(--entry);background:var(--entry)}
.swatch.hollow{background:transparent}
.text td,.text th{text-align:left;white-space:normal}
details{border-top:1px solid var(--faint)}
details:last-of-type{border-bottom:1px solid var(--faint)}
.lone{margin-top:1.2rem}
summary{cursor:pointer;padding:.6rem .2rem;font-weight:500}
summary:hover{background:var(--surface)}
details[open]{padding-bottom:1.2rem}
summary .note{font-weight:400;margin-left:.6rem}
.pair{display:flex;flex-wrap:wrap;gap:0 2.6rem}
.pair>*{min-width:0;max-width:100%}
.heat td{text-align:center;min-width:3.1rem;border:2px solid var(--background)}
.heat th{border:0}
.heat .ahead{color:var(--muted)}
dl.figures{display:flex;flex-wrap:wrap;gap:.4rem 2.2rem;font-size:.92rem}
dl.figures dd{font-variant-numeric:tabular-nums}
.glossary dt{font-weight:600;margin-top:.8rem}
pre{background:var(--surface);padding:.9rem 1.1rem;border-radius:6px;overflow-x:auto;font-size:.88rem;line-height:1.5;
 white-space:pre-wrap;overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{overflow-wrap:anywhere}
footer{margin-top:4rem;padding-top:1rem;border-top:1px solid var(--faint);font-size:.9rem}
@media screen and NARROW_SCREEN{body{font-size:16px}main{padding:1.8rem 1rem 3rem}.answer{padding-left:.9rem}
 .wide{display:none}.narrow{display:inline}.key.narrow{display:block}
 th,td{padding:.4rem .5rem}tbody th,.results th{white-space:normal;overflow-wrap:anywhere}
 .heat td{min-width:2.6rem;padding:.4rem .1rem}.heat th{padding:.4rem .2rem;white-space:nowrap}
 summary .note{display:block;margin:0}}
@media print{html{font-size:12.5px}body{font-size:1rem}figure{margin:1.2rem 0}
 main{padding:0;max-width:none}h2{margin-top:1.6rem}h2,summary{break-after:avoid}
 figure,tr,pre{break-inside:avoid}.scroll{overflow:visible}
 .results{font-size:7.5pt}.results th,.results td{padding:.2rem .3rem}
 *{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


def stylesheet(rows: Sequence[Row]) -> str:
    """The whole CSS of a page with these entries; entry i has the class ``entry-i``."""
    layout = LAYOUT.strip().replace("NARROW_SCREEN", NARROW_SCREEN)
    dark = ["@media screen and (prefers-color-scheme:dark){", *_colours(DARK, rows), "}"]
    return "\n".join([*_colours(LIGHT, rows), layout, *dark])


def _colours(theme: Theme, rows: Sequence[Row]) -> list[str]:
    names = ("background", "surface", "ink", "muted", "faint", "accent")
    values = "".join(f"--{name}:{getattr(theme, name)};" for name in names) + f"--mark:{theme.warm[1]}"
    lines = [f":root{{{values}}}"]
    lines += [f".entry-{index}{{--entry:{look.colour}}}" for index, look in enumerate(style.looks(rows, theme))]
    for step in range(HEAT_STEPS + 1):
        colour = style.blend(theme.heat, step / HEAT_STEPS)
        lines.append(f".heat .h{step}{{background:{colour};color:{style.text_on(colour)}}}")
    return lines
