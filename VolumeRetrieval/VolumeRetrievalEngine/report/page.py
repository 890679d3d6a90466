"""The page that the report stands on: HTML skeleton and style, without anything from outside the file."""

from __future__ import annotations

from html import escape

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --card: #f6f7f9; --line: #d9dde3; --text: #1c2430; --soft: #5b6675;
  --range: #d9480f; --shade: rgba(217, 72, 15, .14); --profile: #1864ab; --warn: #fff4e0; --warn-text: #6b4500; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181e; --card: #1d232b; --line: #36404c; --text: #e6eaf0;
  --soft: #9aa6b5; --range: #ff8b4d; --shade: rgba(255, 139, 77, .2); --profile: #74b3f0; --warn: #3a2d12;
  --warn-text: #ffdf9e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
p { margin: .4rem 0; }
.soft { color: var(--soft); }
.name-of-volume { overflow-wrap: anywhere; }
.warning { background: var(--warn); color: var(--warn-text); border-radius: 6px; padding: .5rem .8rem; margin: 1rem 0; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1rem; }
.pictures.pair { grid-template-columns: 1fr 1fr; max-width: 480px; }
figure { margin: 0; }
.pictures img, .no-picture { width: 100%; aspect-ratio: 1; border-radius: 6px; background: #000; display: block;
  object-fit: contain; }
.no-picture { background: var(--card); color: var(--soft); display: grid; place-items: center; font-size: .85rem; }
.pictures .query img { outline: 2px solid var(--profile); outline-offset: 1px; }
figcaption { font-size: .85rem; line-height: 1.4; margin-top: .4rem; color: var(--soft); }
figcaption b { color: var(--text); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .4rem .7rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.whole, .ranges td { white-space: nowrap; }
.ranking .found { width: 45%; }
.match { background: var(--card); border-radius: 10px; padding: 1rem 1.1rem 1.2rem; margin: 1rem 0; }
.match > h2 { margin-top: 0; }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 1.5rem; align-items: start; }
svg { display: block; }
svg.matrix { width: 100%; height: auto; max-width: 540px; font: 12px system-ui, -apple-system, "Segoe UI", Roboto,
  Arial, sans-serif; }
svg text { fill: var(--text); }
svg .tick { fill: var(--soft); font-size: 11px; }
svg .end { text-anchor: end; }
svg .middle, svg .title, svg .name { text-anchor: middle; }
svg .name { font-weight: 600; fill: var(--range); }
svg .pixels { image-rendering: pixelated; }
svg .ground { fill: var(--line); }
svg .range { fill: var(--range); }
svg .shade { fill: var(--shade); }
svg .edge { stroke: var(--range); stroke-dasharray: 3 3; fill: none; }
svg .axis { stroke: var(--soft); fill: none; }
svg .votes { stroke: #fff; stroke-width: 3; stroke-linecap: round; fill: none; }
svg .votes.under { stroke: #000; stroke-width: 4.6; }
svg .path { stroke: #ff5fa2; stroke-width: 2; stroke-linejoin: round; fill: none; }
svg .path.under { stroke: #000; stroke-width: 3.6; stroke-opacity: .65; }
svg .profile { stroke: var(--profile); stroke-width: 1.6; fill: none; }
svg.strip { width: 100%; min-width: 80px; height: 8px; margin-top: .35rem; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .8rem; color: var(--soft); margin-top: .4rem; }
.key span { display: inline-flex; align-items: center; gap: .35rem; }
.key i { display: inline-block; width: 18px; height: 5px; border-radius: 1px; }
.key .scale { width: 60px; height: 10px; }
.key .dot { width: 8px; height: 8px; border-radius: 50%; background: #fff; border: 1.5px solid #000; }
@media screen and (max-width: 760px) { .columns { grid-template-columns: minmax(0, 1fr); }
  .ranking thead { display: none; } .ranking tr { display: grid; grid-template-columns: 1.6rem 3.4rem minmax(0, 1fr);
  border-bottom: 1px solid var(--line); padding: .3rem 0; } .ranking td { border: 0; padding: .15rem .5rem .15rem 0; }
  .ranking .found { grid-column: 3; width: auto; } .pictures { grid-template-columns: 1fr 1fr; }
  .match { padding: .8rem .7rem 1rem; } th, td { padding-right: .5rem; } }
@media print { :root { --ground: #fff; --card: #fff; --line: #ccc; --text: #000; --soft: #444; --range: #d9480f;
  --shade: rgba(217, 72, 15, .14); --profile: #1864ab; --warn: #fff; --warn-text: #000; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } body { font-size: 11pt; }
  main { max-width: none; padding: 0; } .match { border: 1px solid #ccc; break-inside: avoid; }
  .pictures, tr, figure { break-inside: avoid; } .warning { border: 1px solid #888; }
  .pictures:not(.pair) { grid-template-columns: repeat(4, 1fr); } .columns { grid-template-columns: 1fr 1fr; }
  table { font-size: 8.5pt; } }
"""


def page(title: str, body: str) -> str:
    """A whole HTML document; `body` is HTML already, `title` is plain text.

    The policy in its head lets it load nothing but the pictures inside it, whatever a file's description may hold.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="robots" content="noindex">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
