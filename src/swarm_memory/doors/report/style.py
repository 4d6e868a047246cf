"""The style sheet of the report's page: light and dark, wide and narrow, on paper too."""

SHEET = """
:root{color-scheme:light dark;--paper:#f7f7f5;--card:#fff;--ink:#1a1f26;--soft:#59636f;
--line:#e2e4e7;--grid:#ecedef;--blue:#1d5fc4;--amber:#b25a00;--green:#16794a;--red:#b3261e}
@media(prefers-color-scheme:dark){:root{--paper:#12151a;--card:#1a1e25;--ink:#e7eaee;
--soft:#9ba6b3;--line:#2d343d;--grid:#262c34;--blue:#82b1ff;--amber:#f2a65a;--green:#6bd19a;
--red:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
.skip{position:absolute;left:-999px}.skip:focus{left:8px;top:8px;background:var(--card);
padding:8px 12px;z-index:1}
header,main,footer{max-width:1040px;margin:0 auto;padding:0 20px}
header{padding-top:40px}footer{padding:24px 20px 48px;color:var(--soft);font-size:14px}
h1{font-size:28px;line-height:1.2;letter-spacing:-.015em;margin:0 0 4px}
h2{font-size:18px;line-height:1.3;letter-spacing:-.005em;margin:0 0 4px}
p{margin:0 0 12px;max-width:72ch;overflow-wrap:anywhere}
.sub,.note{color:var(--soft);font-size:14px}
.findings{margin:20px 0 0;padding:0;list-style:none;font-size:18px;line-height:1.5}
.findings li{margin:0 0 6px;max-width:68ch;overflow-wrap:anywhere}
nav{margin:16px 0 20px;font-size:14px;display:flex;flex-wrap:wrap;gap:4px 16px}
a{color:var(--blue);text-underline-offset:3px}
:focus-visible{outline:2px solid var(--blue);outline-offset:3px;border-radius:3px}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin:24px 0 16px;padding:0}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tile{padding:14px 16px}.tile dt{color:var(--soft);font-size:13px}
.tile dd{margin:0;font-variant-numeric:tabular-nums}
.tile .big{font-size:26px;font-weight:620;letter-spacing:-.02em;line-height:1.3;
overflow-wrap:anywhere}
.tile .small{font-size:13px;color:var(--soft)}
section{padding:20px 22px;margin:0 0 16px}
svg{display:block;width:100%;height:auto}
svg text{font-size:12px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .label{font-size:13px}
.grid{stroke:var(--grid)}.reached,.recent,.best,.ideal{fill:none;stroke-linejoin:round}
.reached{stroke:var(--blue);stroke-width:2.5}.recent{stroke:var(--blue);stroke-width:1.2;opacity:.45}
.best{stroke:var(--amber);stroke-width:2.2;stroke-dasharray:7 4}
.band{fill:var(--amber);opacity:.13}.ideal{stroke:var(--soft);stroke-dasharray:4 4}
.hover{fill:var(--blue);opacity:0}.hover:hover{opacity:.9}
.shift{stroke:var(--red);stroke-width:1.5}.flag{fill:var(--red)}
.error{stroke:var(--blue);stroke-width:1.5;opacity:.6}.dot{fill:var(--blue)}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:13px;color:var(--soft);margin:8px 0;
padding:0;list-style:none}
.legend svg{display:inline-block;width:26px;height:10px;margin-right:6px;vertical-align:middle}
.narrow{display:none}
.scroll{overflow-x:auto;margin:12px 0 0}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);font-size:13px;padding-bottom:6px}
th,td{padding:8px 10px;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{font-weight:560;color:var(--soft);font-size:13px;vertical-align:bottom}
tbody th{font-weight:560;overflow-wrap:break-word;min-width:104px;max-width:260px}
tbody tr:last-child>*{border-bottom:0}
.num{text-align:right;white-space:nowrap}
td small{display:block;color:var(--soft);font-size:12px;white-space:nowrap}
.heat td.cell{background:color-mix(in srgb,var(--blue) calc(var(--share)*38%),transparent);
border:2px solid var(--card);border-radius:6px;min-width:104px}
.heat td.cell small{color:color-mix(in srgb,var(--ink) 72%,transparent)}
.heat td.none{color:var(--soft)}.heat b{font-size:16px}
.bar{width:190px;min-width:130px}.rail{stroke:var(--line);stroke-width:2}
.range{stroke:var(--blue);stroke-width:4;stroke-linecap:round;opacity:.55}
.mark{stroke:var(--amber);stroke-width:2}
.up{color:var(--green)}.down{color:var(--red)}
.two{display:grid;grid-template-columns:minmax(0,380px) minmax(0,1fr);gap:28px;align-items:start}
.facts{margin:4px 0 0;display:grid;grid-template-columns:auto 1fr;gap:6px 16px;font-size:14px}
.facts dt{color:var(--soft)}.facts dd{margin:0;font-variant-numeric:tabular-nums}
.split{display:flex;height:14px;border-radius:7px;overflow:hidden;margin:12px 0 10px;gap:2px}
.split i{display:block;background:var(--tone)}
.key{display:inline-block;width:10px;height:10px;border-radius:3px;background:var(--tone);
margin-right:6px}
.items{list-style:none;margin:12px 0 0;padding:0}
.items li{padding:10px 0;border-top:1px solid var(--line);overflow-wrap:anywhere}
.items .note{display:block}
details{margin-top:12px;font-size:14px}summary{cursor:pointer;color:var(--soft)}
.empty{padding:40px 22px;text-align:center}.empty p{margin:0 auto 12px}
code{font:14px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--paper);
border:1px solid var(--line);border-radius:6px;padding:6px 10px;display:inline-block;
overflow-wrap:anywhere}
@media(max-width:700px){header{padding-top:24px}header,main,footer{padding-left:14px;
padding-right:14px}.tiles{grid-template-columns:1fr 1fr;gap:8px}.tile{padding:12px}
.tile .big{font-size:21px}section{padding:16px 14px}.two{grid-template-columns:1fr}
.bar{width:96px;min-width:96px}th,td{padding:7px 8px}.wide{display:none}.narrow{display:block}
.findings{font-size:16px}h1{font-size:23px}}
@media print{body{background:#fff}section,.tile{break-inside:avoid}nav,.skip{display:none}}
"""
