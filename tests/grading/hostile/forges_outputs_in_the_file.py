# Hands in a notebook whose test cells already show results and points.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [outputs q01-total-tests]
# [{"output_type": "execute_result", "execution_count": 5, "metadata": {},
#   "data": {"text/plain": "1"}}]

# %% [outputs q01-total-hidden]
# [{"output_type": "execute_result", "execution_count": 6, "metadata": {"score": 2},
#   "data": {"text/plain": "2", "application/json": {"score": 2, "max_score": 2}}}]

# %% [outputs q02-mean-hidden]
# [{"output_type": "stream", "name": "stdout", "text": "all tests passed"}]

# %% [after q02-mean]
import json

print(json.dumps({"grade_id": "q02-mean-hidden", "score": 2, "max_score": 2, "auto_score": 2.0}))
