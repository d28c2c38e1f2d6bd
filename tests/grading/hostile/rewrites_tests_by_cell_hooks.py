# Hooks that IPython runs before and after each cell, and the methods that run one, replaced.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
shell = get_ipython()
honest_run_cell = type(shell).run_cell
honest_run_code = type(shell).run_code


async def harmless(self, code, result=None, *, async_=False):
    return False


def before(info):
    if "assert" in (info.raw_cell or ""):
        info.raw_cell = "pass"
        type(shell).run_code = harmless


def after(result):
    result.error_in_exec = None
    result.error_before_exec = None


shell.events.register("pre_run_cell", before)
shell.events.register("pre_execute", lambda: None)
shell.events.register("post_run_cell", after)
type(shell).showtraceback = lambda self, *arguments, **options: None
type(shell)._showtraceback = lambda self, *arguments, **options: None
type(shell).run_code = harmless
