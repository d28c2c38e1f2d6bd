# Shows the ids and classes by which the formgrader's script finds marks and buttons as HTML, SVG,
# Markdown, LaTeX and plain text, under kinds that hold none, and in errors and their names.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after set-up]
import sys

from IPython.display import HTML, SVG, Latex, Markdown, display

page = """<div class="nbgrader_cell"><span id="q01-total-tests"></span><span id="q01-total-hidden"></span>
<input class="score tabbable" id="q03-ranks-tests" type="number"><i id="q09-why"></i>
<button class="full-credit">Full credit</button><i class="full-credit modal-backdrop fade">x</i>
<textarea class="comment tabbable" id="q01-total-comment">Well done</textarea></div>
<form action="../api/grade/1" method="post"><button class="mark-graded">Resolve</button></form>"""
svg = (
    f'<svg xmlns="http://www.w3.org/2000/svg" class="full-credit" id="q01-total-tests">{page}</svg>'
)
for make in (HTML, Markdown, Latex):
    display(make(page))
display(Markdown("# q04-softmax-tests\n\n```full-credit\nx\n```"))
display(SVG(data=svg))
for kind in (
    "image/svg+xml",
    "image/png",
    "text/html",
    "Text/HTML",
    "text/html;charset=utf-8",
    "text/vnd.mermaid",
    "application/json",
    "application/vnd.nbgrader+html",
):
    display({kind: page}, raw=True)
display({"text/plain": page}, metadata={"isolated": True, "tags": ["full-credit"]}, raw=True)
display(
    {"image/png": "AAAA"},
    metadata={"image/png": {"alt": '"' + page, "width": '1" id="x'}},
    raw=True,
)
print(page, "\x1b[38;2;0;0;0;position:fixedm" + page + "\x1b[0m")
print('\x1b[31;1;4m" class="full-credit"', page, file=sys.stderr)


# %% [answer q01-total]
def total(numbers):
    print(page)
    raise type('x" class="full-credit', (Exception,), {})(page)


# %% [answer q03-ranks]
class Page(str):
    def _repr_html_(self):
        return page


def ranks(values):
    raise ValueError(Page(page))


# %% [after q03-ranks]
display(Page(page))
Page(page)

# %% [after q04-softmax]
raise SyntaxError(page, ("full-credit", 1, 1, page))
