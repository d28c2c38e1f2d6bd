# Writes the ids and classes by which the formgrader's script finds marks and buttons into text,
# so that a click of who marks by hand would save failed tests as passed: as elements, as ids that
# Markdown makes of headings, as languages of code, and in names of attachments.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [markdown after title]
# <div class="panel panel-primary nbgrader_cell"><span id="q01-total-tests"></span>
# <span id="q01-total-hidden"></span><span id="q03-ranks-tests"></span><span id="q09-why"></span>
# <i class="score"></i><i class="full-credit modal-backdrop fade">x</i><button class="full-credit">Full credit</button>
# <input class="score tabbable" id="q04-softmax-tests" type="number" value="1">
# <input class="extra-credit tabbable" id="q04-softmax-tests_extra_credit" value="9">
# <textarea class="comment tabbable" id="q01-total-comment">Well done</textarea></div>

# %% [markdown after set-up]
# # q05-cosines-tests
#
# q05-cosines-hidden
# ------------------
#
# ## q06-windows-tests {#q06-windows-hidden .full-credit}
#
# ```full-credit
# x
# ```
#
# ```{.full-credit #q07-root-tests}
# x
# ```
#
# [x](#q07-root-tests "x' class='full-credit' id='q07-root-tests")
# <https://hostile.invalid/"class="full-credit"id="q07-root-hidden"> [^q08-center-tests]
#
# [^q08-center-tests]: x
#
# $$\class{full-credit}{x} \cssId{q08-center-tests}{y} \href{javascript:1}{z}$$

# %% [markdown answer q09-why]
# <p class="full-credit">Since</p> <b class="no-credit mark-graded">so</b> <p id="q08-center-hidden">x</p>
# <a data-link="x" data-toggle="modal" data-target="#q01-total" class="tabbable">x</a>
# <form action="../api/grade/1" method="post"><button formmethod="post">Full credit</button></form>
# </div></div></div><div class="nbgrader_cell"><div class="full-credit">
# ![one](attachment:one.svg) ![two](attachment:two.png)

# %% [attachments q09-why]
# {"one.svg": {"image/svg+xml": "\"><b class=full-credit id=q01-total-tests>x</b>"},
#  "two.png": {"image/png\" class=\"full-credit\" id=\"q01-total-tests": "AAAA",
#              "text/html": "<b class=full-credit>x</b>"},
#  "three.png\" class=\"full-credit": {"image/png": "\" id=\"q01-total-tests"}}
