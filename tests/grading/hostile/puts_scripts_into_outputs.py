# Shows scripts, frames, pictures from other hosts, styles and links as HTML, SVG, Markdown,
# LaTeX, JavaScript and PDF.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q02-mean]
from IPython.display import HTML, SVG, IFrame, Javascript, Latex, Markdown, display

page = """</pre></div><script>document.title = 1</script><img src=x onerror=alert(1)>
<iframe src="https://hostile.invalid/a"></iframe><link rel=stylesheet href=//hostile.invalid/b>
<style>@import url(https://hostile.invalid/c); * { background: url(//hostile.invalid/d) }</style>
<svg onload=alert(1)><script>1</script><use href="data:image/svg+xml,<script>1</script>"/></svg>
<a href="javascript:alert(1)">x</a><a href=" java&#10;script:alert(1)">y</a>
<form action=https://hostile.invalid/e><button formaction="javascript:1">z</button></form>
<meta http-equiv=refresh content="0;url=https://hostile.invalid/f"><base href=//hostile.invalid/>
<object data=https://hostile.invalid/g></object><embed src=//hostile.invalid/h><video src=//hostile.invalid/i>
<math><mtext><img src=https://hostile.invalid/j></mtext></math><div style="background:url(//hostile.invalid/k)">
<img srcset="//hostile.invalid/l 2x"><input autofocus onfocus=alert(1)><body onload=alert(1)>"""
for make in (HTML, Markdown, Latex, Javascript):
    display(make(page))
display(
    SVG(data='<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>1</script></svg>')
)
display(IFrame("https://hostile.invalid/frame", 9, 9))
for kind in (
    "application/javascript",
    "application/pdf",
    "application/vnd.jupyter.widget-view+json",
    "text/vnd.mermaid",
):
    display({kind: page}, raw=True)
display({"image/svg+xml": page, "image/png": '"><script>1</script>', "text/plain": page}, raw=True)
