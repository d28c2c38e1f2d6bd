# Tells whoever runs the notebook that the test is over and went well, before it has.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    kernel = get_ipython().kernel
    parent = kernel.get_parent()
    reply = {"status": "ok", "execution_count": 3, "payload": [], "user_expressions": {}}
    kernel.session.send(kernel.shell_stream, "execute_reply", reply, parent=parent)
    for socket in (kernel.iopub_socket, kernel.iopub_thread):
        kernel.session.send(socket, "status", {"execution_state": "idle"}, parent=parent)
    kernel.session.send(kernel.iopub_socket, "clear_output", {"wait": False}, parent=parent)
    return 0
