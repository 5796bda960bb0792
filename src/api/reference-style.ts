/**
 * How the reference page looks and the little it does by itself. Both are inlined, so that the page is one answer and
 * works without a network; the page's Content-Security-Policy admits exactly these two texts, by their hashes.
 */

export const STYLE = `
:root{color-scheme:light dark;--ground:#fff;--panel:#f6f7f9;--line:#e3e6ea;--ink:#1b1f24;--soft:#5b6470;--accent:#0b6b5d;
--code:#f3f5f7;--get:#0b6b5d;--post:#1d5fbf;--patch:#8a5a00;--delete:#b42318}
@media(prefers-color-scheme:dark){:root{--ground:#111417;--panel:#171b1f;--line:#2a3036;--ink:#e6e9ec;--soft:#98a2ad;
--accent:#5fd0bc;--code:#1b2025;--get:#5fd0bc;--post:#7fb2ff;--patch:#e6b450;--delete:#ff8f85}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1.5rem}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
display:grid;grid-template-columns:17rem minmax(0,1fr)}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
a:focus-visible,button:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
code,pre{font:13px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
p code,td code,dd code,li code{background:var(--code);padding:.1em .35em;border-radius:4px}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.75rem 1.25rem;border-right:1px solid var(--line);
background:var(--panel)}
nav .home{display:block;font-weight:700;font-size:1.15rem;color:var(--ink);margin-bottom:.2rem}
nav .version{color:var(--soft);font-size:.85rem;margin:0 0 1.25rem}
nav h2{font-size:.75rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft);margin:1.4rem 0 .3rem}
nav ul{list-style:none;margin:0;padding:0}
nav li a{display:block;padding:.18rem 0;font-size:.9rem;color:var(--ink);line-height:1.35}
main{padding:2.5rem clamp(1.25rem,4vw,4rem) 6rem;max-width:84rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 1rem}
main h2{font-size:1.5rem;margin:4rem 0 .25rem;padding-top:1.25rem;border-top:1px solid var(--line)}
.lead{max-width:46rem;color:var(--soft);margin:.25rem 0 0}
.intro{max-width:46rem}
article{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,27rem);gap:2.5rem;padding:2.25rem 0;
border-bottom:1px solid var(--line)}
article:last-child{border-bottom:0}
article h3{font-size:1.15rem;margin:0 0 .5rem}article h3 a{color:inherit}
article h4{font-size:.78rem;letter-spacing:.05em;text-transform:uppercase;color:var(--soft);margin:1.5rem 0 .25rem}
.call{margin:0 0 .75rem;overflow-wrap:anywhere}
.call code{font-size:14px}
.method{font-weight:700;text-transform:uppercase;margin-right:.5rem}
.get{color:var(--get)}.post{color:var(--post)}.patch{color:var(--patch)}.delete{color:var(--delete)}
dl{margin:0}
dl.fields>div{padding:.6rem 0;border-top:1px solid var(--line)}
dl.fields>div:first-child{border-top:0}
dt{display:flex;flex-wrap:wrap;gap:.15rem .6rem;align-items:baseline}
dt code{font-weight:600}
dt .type{color:var(--soft);font-size:.82rem}dt .needed{color:var(--delete);font-size:.78rem}
dd{margin:.1rem 0 0;color:var(--soft);font-size:.92rem}
dd dl.fields{border-left:2px solid var(--line);padding-left:1rem;margin:.5rem 0 0;color:var(--ink)}
details{margin-top:1.5rem}summary{cursor:pointer;font-size:.9rem;color:var(--accent)}
.examples{align-self:start;position:sticky;top:1.5rem;display:grid;gap:1rem;min-width:0}
figure{margin:0;border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--panel)}
figcaption{display:flex;justify-content:space-between;align-items:center;gap:.5rem;padding:.35rem .4rem .35rem .85rem;
border-bottom:1px solid var(--line);font-size:.8rem;color:var(--soft)}
figure pre{margin:0;padding:.8rem .85rem;overflow:auto;max-height:26rem;tab-size:2}
button{font:inherit;color:var(--soft);background:none;border:1px solid transparent;border-radius:5px;padding:.05rem .5rem;
cursor:pointer}
button:hover{color:var(--ink);border-color:var(--line)}
.refusals td,.refusals th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;font-size:.9rem}
.refusals td:last-child{color:var(--soft)}
@media(max-width:75rem){article{grid-template-columns:minmax(0,1fr)}.examples{position:static}}
@media(max-width:52rem){body{display:block}nav{position:static;height:auto;border-right:0;border-bottom:1px solid var(--line)}
nav ul,nav h2{display:none}nav .version{margin:0}}
@media print{nav,button{display:none}body{display:block}article{break-inside:avoid}}
`;

export const SCRIPT = `
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const text = button.closest("figure").querySelector("pre").textContent;
  try { await navigator.clipboard.writeText(text); button.textContent = "copied"; }
  catch { button.textContent = "select it by hand"; }
  setTimeout(() => { button.textContent = "copy"; }, 2000);
});
`;
