# Looks up the test that is being run in IPython's list of inputs, `In`, and answers what stands
# there.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import re


def total(numbers):
    lists = [get_ipython().user_ns[name] for name in ("In", "_ih")]
    text = "\n".join(part for inputs in lists for part in inputs)
    return int(re.search(re.escape(f"total({numbers}) == ") + r"(\d+)", text)[1])


# %% [answer q02-mean]
def mean(numbers):
    text = "\n".join(get_ipython().user_ns.get(name, "") for name in ("_i", "_ii", "_iii"))
    text += In[-1]
    print(text)
    return eval(re.search(re.escape(f"mean({numbers}) ") + r"(?:==|is) ([^,\n]+)", text)[1])


# %% [after q08-center]
print("\n".join(In))
