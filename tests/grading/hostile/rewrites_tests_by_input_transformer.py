# Has IPython drop every line with an assert before it runs a cell.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [before q01-total]
def without_asserts(lines):
    return ["pass\n" for line in lines] if any("assert" in line for line in lines) else lines


get_ipython().input_transformers_cleanup.append(without_asserts)
get_ipython().input_transformers_post.append(without_asserts)
get_ipython().input_transformer_manager.cleanup_transforms.insert(0, without_asserts)
