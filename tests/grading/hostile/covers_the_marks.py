# Lays itself over the page on which a person marks, so that a click anywhere is a click on it: by
# the classes of the page's own style sheet, by styles, style sheets, links and frames.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [markdown after title]
# <a class="modal-backdrop fade" href="https://hostile.invalid/a" title="x">x</a>
# <a style="position: fixed; inset: 0; z-index: 9999; opacity: 0" href="https://hostile.invalid/b">x</a>
# <div class="navbar-fixed-top panel panel-primary"><h4>trust (Score: 24.0 / 24.0)</h4></div>
# <style>body * { visibility: hidden } .full-credit { position: fixed; inset: 0 }</style>
# <div class="modal in" style="display: block" role="dialog"><div class="modal-dialog">x</div></div>
# <iframe style="position: fixed; inset: 0" src="https://hostile.invalid/c"></iframe>
# <label style="position: fixed; inset: 0" for="q01-total-tests">x</label>
# <dialog open style="position: fixed; inset: 0">x</dialog>
# <svg style="position: fixed; inset: 0"><a href="https://hostile.invalid/d"><rect/></a></svg>

# %% [markdown answer q09-why]
# <details open style="position: fixed; inset: 0"><summary class="modal-backdrop">x</summary></details>
# <p title="x" style="position: fixed; inset: 0">x</p> <table style="position: fixed"><tr><td>x</td></tr></table>
# ![x](attachment:x.png) <img src="attachment:x.png" style="position: fixed; inset: 0" class="modal-backdrop">

# %% [attachments q09-why]
# {"x.png": {"image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}}

# %% [after set-up]
from IPython.display import HTML, SVG, IFrame, Markdown, display

over = """<div class="modal-backdrop fade full-credit" style="position: fixed; inset: 0; z-index: 9999">x</div>
<style>body { display: none } .output_area { position: fixed; inset: 0 }</style>
<a class="modal-backdrop" href="https://hostile.invalid/e">x</a>"""
for make in (HTML, Markdown):
    display(make(over))
display(SVG(data=f'<svg xmlns="http://www.w3.org/2000/svg" style="position: fixed">{over}</svg>'))
display(IFrame("https://hostile.invalid/f", "100%", "100%"))
display({"text/html": over}, metadata={"text/html": {"isolated": True}}, raw=True)
print("\x1b[38;2;0;0;0;position:fixed;inset:0m" + over + "\x1b[H\x1b[2J")
