"""Known answers to the questions of 05-recurrence: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _rnn(**parts: str) -> str:
    """The loop of q01, with one part changed."""
    start = parts.get("start", "state")
    inputs = parts.get("inputs", "inputs")
    new = parts.get("new", "torch.tanh(x @ W + h @ U + b)")
    returned = parts.get("returned", "torch.stack(states)")
    return f"""
        def rnn(parameters, inputs, state):
            W, U, b = parameters["W"], parameters["U"], parameters["b"]
            h, states = {start}, []
            for x in {inputs}:
                h = {new}
                states.append(h)
            return {returned}
    """


MUTANTS["q01-rnn"] = {
    "each step from the first state": _rnn(new="torch.tanh(x @ W + state @ U + b)"),
    "begins at zeros": _rnn(start="torch.zeros_like(state)"),
    "no tanh": _rnn(new="x @ W + h @ U + b"),
    "logistic function": _rnn(new="torch.sigmoid(x @ W + h @ U + b)"),
    "bias forgotten": _rnn(new="torch.tanh(x @ W + h @ U)"),
    "bias after tanh": _rnn(new="torch.tanh(x @ W + h @ U) + b"),
    "tanh of the state": _rnn(new="x @ W + torch.tanh(h) @ U + b"),
    "U turned round": _rnn(new="torch.tanh(x @ W + h @ U.T + b)"),
    "last state alone": _rnn(returned="h"),
    "first state as well": _rnn(returned="torch.stack([state, *states])"),
    "batch first": _rnn(returned="torch.stack(states, dim=1)"),
    "a list": _rnn(returned="states"),
    "from the end": _rnn(inputs="inputs.flip(0)"),
    "changes its state": """
        def rnn(parameters, inputs, state):
            states = torch.zeros(len(inputs), *state.shape, dtype=state.dtype)
            for t, x in enumerate(inputs):
                new = torch.tanh(x @ parameters["W"] + state @ parameters["U"] + parameters["b"])
                state[:] = new
                states[t] = state
            return states
    """,
    "one tensor, written over": """
        def rnn(parameters, inputs, state):
            h, states = state.clone(), []
            for x in inputs:
                h[:] = torch.tanh(x @ parameters["W"] + h @ parameters["U"] + parameters["b"])
                states.append(h)
            return torch.stack(states)
    """,
}
ALTERNATIVES["q01-rnn"] = {
    "sequence by sequence": """
        def rnn(parameters, inputs, state):
            T, B, _ = inputs.shape
            states = inputs.new_zeros(T, B, state.shape[1])
            for b in range(B):
                h = state[b]
                for t in range(T):
                    h = torch.tanh(
                        parameters["W"].T @ inputs[t, b] + parameters["U"].T @ h + parameters["b"]
                    )
                    states[t, b] = h
            return states
    """,
    "inputs first, all at once": """
        def rnn(parameters, inputs, state):
            projected = torch.einsum("tbd,dm->tbm", inputs, parameters["W"]) + parameters["b"]
            states = [state]
            for p in projected:
                states.append((p + states[-1].mm(parameters["U"])).tanh())
            return torch.stack(states[1:], dim=0)
    """,
    "one matrix": """
        def rnn(parameters, inputs, state):
            both = torch.cat([parameters["W"], parameters["U"]])
            states = ()
            for x in inputs:
                state = torch.tanh(torch.cat([x, state], dim=1) @ both + parameters["b"])
                states += (state,)
            return torch.stack(states)
    """,
    "NumPy": """
        def rnn(parameters, inputs, state):
            W, U, b = (parameters[name].numpy() for name in ("W", "U", "b"))
            h, states = state.numpy(), []
            for x in inputs.numpy():
                h = np.tanh(x @ W + h @ U + b)
                states.append(h)
            return torch.from_numpy(np.stack(states))
    """,
}


def _bptt(**parts: str) -> str:
    """The loop of q02, with one part changed."""
    part = {
        "cut": "(t + 1) % steps == 0",
        "cut_to": "torch.zeros_like(state)",
        "arriving": "upstream[t] + later",
        "slope": "1 - states[t] ** 2",
        "W": "inputs[t].T @ delta",
        "before": "states[t - 1] if t > 0 else state",
        "U": "before.T @ delta",
        "b": "delta.sum(dim=0)",
        "later": "delta @ U.T",
        "steps_back": "reversed(range(T))",
        "state": "later",
        "add": "+=",
    } | parts
    return f"""
        def rnn_backward(parameters, inputs, state, states, upstream, steps):
            T, B, U = len(inputs), len(state), parameters["U"]
            gradients = {{name: torch.zeros_like(parameters[name]) for name in ("W", "U", "b")}}
            later = torch.zeros_like(state)
            for t in {part["steps_back"]}:
                if {part["cut"]}:
                    later = {part["cut_to"]}
                g = {part["arriving"]}
                delta = ({part["slope"]}) * g
                before = {part["before"]}
                gradients["W"] {part["add"]} {part["W"]}
                gradients["U"] {part["add"]} {part["U"]}
                gradients["b"] {part["add"]} {part["b"]}
                later = {part["later"]}
            gradients["state"] = {part["state"]}
            return gradients
    """


MUTANTS["q02-bptt"] = {
    "never cut": _bptt(cut="False"),
    "cut at every step": _bptt(cut="True"),
    "chunks from the end": _bptt(cut="(T - 1 - t) % steps == 0"),
    "cut one step too early": _bptt(cut="t % steps == 0"),
    "last chunk left out": _bptt(steps_back="reversed(range(T // steps * steps or T))"),
    "the window is the last steps of all": _bptt(
        steps_back="reversed(range(max(0, T - steps), T))"
    ),
    "state forgotten where a chunk begins": _bptt(
        before="states[t - 1] if t % steps else torch.zeros_like(state)"
    ),
    "no slope": _bptt(slope="1"),
    "slope of 1 - h": _bptt(slope="1 - states[t]"),
    "slope of the logistic function": _bptt(slope="states[t] * (1 - states[t])"),
    "losses of later steps alone": _bptt(arriving="upstream[t] if t == T - 1 else later"),
    "passes on without slope": _bptt(later="g @ U.T"),
    "U not transposed": _bptt(later="delta @ U"),
    "state after, not before": _bptt(U="states[t].T @ delta"),
    "first state taken for zero": _bptt(
        before="states[t - 1] if t > 0 else torch.zeros_like(state)"
    ),
    "wraps round to the last state": _bptt(before="states[t - 1]"),
    "U's gradient turned round": _bptt(U="delta.T @ before"),
    "bias as a mean": _bptt(b="delta.mean(dim=0)"),
    "divided by the batch": _bptt(
        W="inputs[t].T @ delta / B", U="before.T @ delta / B", b="delta.sum(dim=0) / B"
    ),
    "the first step's part alone": _bptt(add="="),
    "delta of the first step for h_0": _bptt(state="delta"),
    "changes what arrives": _bptt(arriving="upstream[t].add_(later)"),
}
ALTERNATIVES["q02-bptt"] = {
    "chunk by chunk": """
        def rnn_backward(parameters, inputs, state, states, upstream, steps):
            W, U, b = (torch.zeros_like(parameters[name]) for name in ("W", "U", "b"))
            before = torch.cat([state[None], states[:-1]])
            for start in range(0, len(inputs), steps):
                later = 0
                for t in range(min(start + steps, len(inputs)) - 1, start - 1, -1):
                    delta = (1 - states[t].square()) * (upstream[t] + later)
                    W = W + inputs[t].T @ delta
                    U = U + before[t].T @ delta
                    b = b + delta.sum(0)
                    later = delta @ parameters["U"].T
                if start == 0:
                    first = later
            return {"W": W, "U": U, "b": b, "state": first}
    """,
    "all δ first, then einsum": """
        def rnn_backward(parameters, inputs, state, states, upstream, steps):
            slopes, deltas = 1 - states * states, torch.empty_like(states)
            for t in range(len(states) - 1, -1, -1):
                g = upstream[t]
                if t + 1 < len(states) and (t + 1) % steps:
                    g = g + torch.einsum("bm,nm->bn", deltas[t + 1], parameters["U"])
                deltas[t] = slopes[t] * g
            before = torch.cat([state.unsqueeze(0), states])[:-1]
            return {
                "W": torch.einsum("tbd,tbm->dm", inputs, deltas),
                "U": torch.einsum("tbn,tbm->nm", before, deltas),
                "b": deltas.sum(dim=(0, 1)),
                "state": deltas[0] @ parameters["U"].T,
            }
    """,
    "torch derives it": """
        def rnn_backward(parameters, inputs, state, states, upstream, steps):
            with torch.enable_grad():
                names = ("W", "U", "b")
                leaves = [parameters[name].detach().clone().requires_grad_() for name in names]
                h = first = state.detach().clone().requires_grad_()
                total = 0.0
                for t, (x, v) in enumerate(zip(inputs, upstream)):
                    if t and t % steps == 0:
                        h = h.detach()
                    h = torch.tanh(x @ leaves[0] + h @ leaves[1] + leaves[2])
                    total = total + (h * v).sum()
                found = torch.autograd.grad(total, [*leaves, first])
            return dict(zip((*names, "state"), found))
    """,
}


def _clip(
    norm: str = "sum((g**2).sum() for g in gradients.values()) ** 0.5",
    test: str = "norm > threshold",
    factor: str = "threshold / norm",
    new: str = "g * factor",
    returned: str = '{"gradients": clipped, "norm": norm}',
) -> str:
    return f"""
        def clip(gradients, threshold):
            norm = {norm}
            factor = {factor} if {test} else 1.0
            clipped = {{name: {new} for name, g in gradients.items()}}
            return {returned}
    """


MUTANTS["q03-clipping"] = {
    "each tensor by itself": """
        def clip(gradients, threshold):
            norm = sum((g**2).sum() for g in gradients.values()) ** 0.5
            clipped = {
                name: g * threshold / g.norm() if g.norm() > threshold else g.clone()
                for name, g in gradients.items()
            }
            return {"gradients": clipped, "norm": norm}
    """,
    "each number by itself": _clip(new="g.clamp(-threshold, threshold)"),
    "norms added up": _clip(norm="sum(g.norm() for g in gradients.values())"),
    "no root": _clip(norm="sum((g**2).sum() for g in gradients.values())"),
    "sum of absolute values": _clip(norm="sum(g.abs().sum() for g in gradients.values())"),
    "root of the mean square": _clip(
        norm="torch.cat([g.flatten() for g in gradients.values()]).square().mean().sqrt()"
    ),
    "threshold missing": _clip(factor="1 / norm"),
    "always as long as the threshold": _clip(test="norm > 0"),
    "always, 0/0 as well": _clip(test="True"),
    "made longer where it is short": _clip(test="norm < threshold"),
    "squared norm compared": _clip(test="norm**2 > threshold"),
    "norm after clipping": _clip(
        returned='{"gradients": clipped, "norm": min(float(norm), threshold)}'
    ),
    "first tensor only": """
        def clip(gradients, threshold):
            first = next(iter(gradients))
            norm = sum((g**2).sum() for g in gradients.values()) ** 0.5
            factor = threshold / norm if norm > threshold else 1.0
            clipped = {name: g * factor if name == first else g for name, g in gradients.items()}
            return {"gradients": clipped, "norm": norm}
    """,
    "changes the gradients": _clip(new="g.mul_(factor)"),
    "a list": _clip(returned='{"gradients": list(clipped.values()), "norm": norm}'),
}
ALTERNATIVES["q03-clipping"] = {
    "laid end to end": """
        def clip(gradients, threshold):
            norm = torch.cat([g.reshape(-1) for g in gradients.values()]).norm().item()
            if norm <= threshold:
                return {"gradients": {k: g.clone() for k, g in gradients.items()}, "norm": norm}
            return {
                "gradients": {k: threshold * g / norm for k, g in gradients.items()},
                "norm": norm,
            }
    """,
    "norm of the norms": """
        def clip(gradients, threshold):
            norm = torch.stack([torch.linalg.vector_norm(g) for g in gradients.values()]).norm()
            factor = torch.where(norm > threshold, threshold / norm, torch.ones_like(norm))
            return {"gradients": {k: g * factor for k, g in gradients.items()}, "norm": norm}
    """,
    "torch's own": """
        def clip(gradients, threshold):
            copies = {name: torch.nn.Parameter(g.clone()) for name, g in gradients.items()}
            for name, copy in copies.items():
                copy.grad = gradients[name].clone()
            norm = torch.nn.utils.clip_grad_norm_(copies.values(), threshold)
            return {"gradients": {k: copy.grad for k, copy in copies.items()}, "norm": norm}
    """,
}


def _gru(**parts: str) -> str:
    """The step of q04, with one part changed."""
    part = {
        "order": "z_x, r_x, n_x",
        "order_h": "z_h, r_h, n_h",
        "x": 'x @ parameters["W"] + parameters["b"]',
        "h": 'h @ parameters["U"]',
        "z": "torch.sigmoid(z_x + z_h)",
        "r": "torch.sigmoid(r_x + r_h)",
        "n": "torch.tanh(n_x + r * (n_h + c))",
        "new": "z * h + (1 - z) * n",
    } | parts
    return f"""
        def gru_step(parameters, x, h):
            c, m = parameters["c"], h.shape[1]
            {part["order"]} = ({part["x"]}).chunk(3, dim=1)
            {part["order_h"]} = ({part["h"]}).chunk(3, dim=1)
            z, r = {part["z"]}, {part["r"]}
            n = {part["n"]}
            return {part["new"]}
    """


MUTANTS["q04-gru"] = {
    "z and 1 - z swapped": _gru(new="(1 - z) * h + z * n"),
    "PyTorch's order of blocks": _gru(order="r_x, z_x, n_x", order_h="r_h, z_h, n_h"),
    "reset before the matrix": _gru(
        n='torch.tanh(n_x + (r * h) @ parameters["U"][:, 2 * m :] + c)'
    ),
    "reset before the matrix, c inside": _gru(
        n='torch.tanh(n_x + (r * h) @ parameters["U"][:, 2 * m :] + r * c)'
    ),
    "c outside the reset gate": _gru(n="torch.tanh(n_x + r * n_h + c)"),
    "c forgotten": _gru(n="torch.tanh(n_x + r * n_h)"),
    "no reset gate": _gru(n="torch.tanh(n_x + n_h + c)"),
    "reset gate for the input, too": _gru(n="torch.tanh(r * (n_x + n_h + c))"),
    "tanh missing": _gru(n="n_x + r * (n_h + c)"),
    "candidate as a gate": _gru(n="torch.sigmoid(n_x + r * (n_h + c))"),
    "gates by tanh": _gru(z="torch.tanh(z_x + z_h)", r="torch.tanh(r_x + r_h)"),
    "gates from the input alone": _gru(z="torch.sigmoid(z_x)", r="torch.sigmoid(r_x)"),
    "old state forgotten": _gru(new="(1 - z) * n"),
    "b forgotten": _gru(x='x @ parameters["W"]'),
    "U turned round": _gru(
        h='torch.cat([h @ part.T for part in parameters["U"].chunk(3, dim=1)], dim=1)'
    ),
    "blocks interleaved": _gru(
        x='(x @ parameters["W"] + parameters["b"]).reshape(len(x), -1, 3).mT.flatten(1)',
        h='(h @ parameters["U"]).reshape(len(x), -1, 3).mT.flatten(1)',
    ),
    "changes its state": """
        def gru_step(parameters, x, h):
            z_x, r_x, n_x = (x @ parameters["W"] + parameters["b"]).chunk(3, dim=1)
            z_h, r_h, n_h = (h @ parameters["U"]).chunk(3, dim=1)
            z, r = torch.sigmoid(z_x + z_h), torch.sigmoid(r_x + r_h)
            h *= z
            h += (1 - z) * torch.tanh(n_x + r * (n_h + parameters["c"]))
            return h
    """,
}
ALTERNATIVES["q04-gru"] = {
    "slices": """
        def gru_step(parameters, x, h):
            m = h.shape[1]
            W, U, b = parameters["W"], parameters["U"], parameters["b"]
            parts = [slice(i * m, (i + 1) * m) for i in range(3)]
            z = torch.sigmoid(x @ W[:, parts[0]] + h @ U[:, parts[0]] + b[parts[0]])
            r = torch.sigmoid(x @ W[:, parts[1]] + h @ U[:, parts[1]] + b[parts[1]])
            seen = h @ U[:, parts[2]] + parameters["c"]
            candidate = torch.tanh(x @ W[:, parts[2]] + b[parts[2]] + r * seen)
            return candidate + z * (h - candidate)
    """,
    "lerp and linear": """
        from torch.nn import functional as F


        def gru_step(parameters, x, h):
            of_x = F.linear(x, parameters["W"].T, parameters["b"]).tensor_split(3, dim=-1)
            U = parameters["U"].T
            inner = torch.cat([U.new_zeros(2 * h.shape[1]), parameters["c"]])
            of_h = F.linear(h, U, inner).tensor_split(3, dim=-1)
            z, r = (0.5 * (1 + torch.tanh((of_x[i] + of_h[i]) / 2)) for i in range(2))
            return torch.lerp(torch.tanh(of_x[2] + r * of_h[2]), h, z)
    """,
    "row by row": """
        def gru_step(parameters, x, h):
            m, rows = h.shape[1], []
            for one, old in zip(x, h):
                of_x = parameters["W"].T @ one + parameters["b"]
                of_h = parameters["U"].T @ old
                gates = torch.sigmoid(of_x[: 2 * m] + of_h[: 2 * m])
                seen = of_h[2 * m :] + parameters["c"]
                n = torch.tanh(of_x[2 * m :] + gates[m:] * seen)
                rows.append(gates[:m] * old + n - gates[:m] * n)
            return torch.stack(rows)
    """,
}


def _lstm(**parts: str) -> str:
    """The step of q05, with one part changed."""
    part = {
        "order": "f, i, o, g",
        "sums": 'x @ parameters["W"] + h @ parameters["U"] + parameters["b"]',
        "f": "torch.sigmoid(f)",
        "i": "torch.sigmoid(i)",
        "o": "torch.sigmoid(o)",
        "g": "torch.tanh(g)",
        "c": "f * c + i * g",
        "h": "o * torch.tanh(new)",
        "returned": '{"h": h_new, "c": new}',
    } | parts
    return f"""
        def lstm_step(parameters, x, h, c):
            {part["order"]} = ({part["sums"]}).chunk(4, dim=1)
            f, i, o, g = {part["f"]}, {part["i"]}, {part["o"]}, {part["g"]}
            new = {part["c"]}
            h_new = {part["h"]}
            return {part["returned"]}
    """


MUTANTS["q05-lstm"] = {
    "PyTorch's order of blocks": _lstm(order="i, f, g, o"),
    "gates swapped": _lstm(c="i * c + f * g"),
    "coupled gates": _lstm(c="f * c + (1 - f) * g"),
    "nothing forgotten": _lstm(c="c + i * g"),
    "old cell lost": _lstm(c="i * g"),
    "state in place of the cell": _lstm(c="f * h + i * g"),
    "tanh of the candidate missing": _lstm(g="g"),
    "candidate as a gate": _lstm(g="torch.sigmoid(g)"),
    "tanh of the cell missing": _lstm(h="o * new"),
    "state from the old cell": _lstm(h="o * torch.tanh(c)"),
    "state without output gate": _lstm(h="torch.tanh(new)"),
    "one added to the forget gate": _lstm(f="torch.sigmoid(f + 1)"),
    "input's sums without the state": _lstm(sums='x @ parameters["W"] + parameters["b"]'),
    "b forgotten": _lstm(sums='x @ parameters["W"] + h @ parameters["U"]'),
    "h and c swapped": _lstm(returned='{"h": new, "c": h_new}'),
    "a pair": _lstm(returned="(h_new, new)"),
    "blocks interleaved": _lstm(
        sums='(x @ parameters["W"] + h @ parameters["U"] + parameters["b"])'
        ".reshape(len(x), -1, 4).mT.flatten(1)"
    ),
    "changes its cell": """
        def lstm_step(parameters, x, h, c):
            sums = x @ parameters["W"] + h @ parameters["U"] + parameters["b"]
            f, i, o, g = sums.chunk(4, dim=1)
            c *= torch.sigmoid(f)
            c += torch.sigmoid(i) * torch.tanh(g)
            return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}
    """,
}
ALTERNATIVES["q05-lstm"] = {
    "slices": """
        def lstm_step(parameters, x, h, c):
            m = h.shape[1]
            sums = torch.addmm(parameters["b"], x, parameters["W"]) + h @ parameters["U"]
            gates = torch.sigmoid(sums[:, : 3 * m])
            new = gates[:, :m] * c + gates[:, m : 2 * m] * sums[:, 3 * m :].tanh()
            return {"c": new, "h": gates[:, 2 * m :] * new.tanh()}
    """,
    "gate by gate, one matrix": """
        def lstm_step(parameters, x, h, c):
            W = torch.cat([parameters["W"], parameters["U"], parameters["b"][None]])
            read = torch.cat([x, h, torch.ones_like(x[:, :1])], dim=1)
            f, i, o, g = (read @ block for block in W.tensor_split(4, dim=1))
            c = c / (1 + torch.exp(-f)) + torch.tanh(g) / (1 + torch.exp(-i))
            return {"h": torch.tanh(c) / (1 + torch.exp(-o)), "c": c}
    """,
    "row by row": """
        def lstm_step(parameters, x, h, c):
            pairs = []
            for one, old, cell in zip(x, h, c):
                sums = one @ parameters["W"] + old @ parameters["U"] + parameters["b"]
                f, i, o, g = sums.reshape(4, -1)
                new = f.sigmoid() * cell + i.sigmoid() * g.tanh()
                pairs.append((o.sigmoid() * new.tanh(), new))
            new_h, new_c = zip(*pairs)
            return {"h": torch.stack(new_h), "c": torch.stack(new_c)}
    """,
}


def _weights(
    a: str = "[0, 0, 0, 30]",
    b: str = "[0, 0, 0, -30]",
    c: str = "[0, 0, 0, 0]",
    end: str = "[-60, 0, 0, 0]",
    U: str = "torch.zeros(1, 4)",
    bias: str = "[30, 30, 30, 0]",
) -> str:
    """Weights of q06, with one part changed."""
    return f"""
        def counting_weights():
            W = torch.tensor([{a}, {b}, {c}, {end}], dtype=torch.float32)
            return {{"W": W, "U": {U}, "b": torch.tensor({bias}, dtype=torch.float32)}}
    """


MUTANTS["q06-counter"] = {
    "gates left half open": _weights(bias="[0, 0, 0, 0]"),
    "forget gate left half open": _weights(bias="[0, 30, 30, 0]"),
    "output gate left half open": _weights(bias="[30, 30, 0, 0]"),
    "output gate shut": _weights(bias="[30, 30, -30, 0]"),
    "gates open to 0.99995": _weights(bias="[10, 10, 10, 0]"),
    "weights of 1": _weights(
        a="[0, 0, 0, 1]", b="[0, 0, 0, -1]", end="[-2, 0, 0, 0]", bias="[1, 1, 1, 0]"
    ),
    "candidate of tanh 1": _weights(a="[0, 0, 0, 1]", b="[0, 0, 0, -1]"),
    "b takes nothing away": _weights(b="[0, 0, 0, 0]"),
    "b adds": _weights(b="[0, 0, 0, 30]"),
    "c counts": _weights(bias="[30, 30, 30, 30]", b="[0, 0, 0, -60]"),
    "# keeps the count": _weights(end="[0, 0, 0, 0]"),
    "# takes one away": _weights(end="[-60, 0, 0, -30]"),
    "# halves the count": _weights(end="[-30, 0, 0, 0]"),
    "state goes round": _weights(U="torch.tensor([[0.0, 0.0, 0.0, 1.0]])"),
    "columns in PyTorch's order": _weights(
        a="[0, 0, 30, 0]", b="[0, 0, -30, 0]", end="[0, -60, 0, 0]", bias="[30, 30, 0, 30]"
    ),
    "letters as columns": """
        def counting_weights():
            W = torch.zeros(4, 4)
            W[3, 0], W[3, 1], W[0, 3] = 30.0, -30.0, -60.0
            return {"W": W, "U": torch.zeros(1, 4), "b": torch.tensor([30.0, 30.0, 30.0, 0.0])}
    """,
    "rows of units": """
        def counting_weights():
            W = torch.zeros(4, 4)
            W[0, 3], W[1, 3], W[3, 0] = 30.0, -30.0, -60.0
            return {"W": W, "U": torch.zeros(4, 1), "b": torch.tensor([30.0, 30.0, 30.0, 0.0])}
    """,
    "infinite weights": _weights(
        a="[0, 0, 0, torch.inf]", b="[0, 0, 0, -torch.inf]", end="[-torch.inf, 0, 0, 0]"
    ),
}
ALTERNATIVES["q06-counter"] = {
    "letters open the gates": """
        def counting_weights():
            W = torch.tensor(
                [
                    [50.0, 50.0, 50.0, 50.0],
                    [50.0, 50.0, 50.0, -50.0],
                    [50.0, -50.0, 50.0, 0.0],
                    [-50.0, -50.0, 50.0, 0.0],
                ]
            )
            return {"W": W, "U": torch.zeros(1, 4), "b": torch.zeros(4)}
    """,
    "the input gate decides": """
        def counting_weights():
            W = torch.zeros(4, 4, dtype=torch.float64)
            W[:2, 1] = 100.0
            W[0, 3], W[1, 3:] = 40.0, -40.0
            W[3, 0] = -80.0
            b = torch.tensor([40.0, -50.0, 40.0, 0.0], dtype=torch.float64)
            return {"W": W, "U": torch.zeros(1, 4, dtype=torch.float64), "b": b}
    """,
    "b as it comes, a against it": _weights(
        a="[0, 0, 0, 80]",
        b="[0, 0, 0, 0]",
        c="[0, 0, 0, 40]",
        end="[-90, 0, 10, 40]",
        bias="[45, 35, 33, -40]",
    ),
    "parameters": """
        def counting_weights():
            unit = torch.nn.ParameterDict({"W": torch.zeros(4, 4), "U": torch.zeros(1, 4)})
            with torch.no_grad():
                unit["W"][0, 3], unit["W"][1, 3], unit["W"][3, 0] = 99.0, -99.0, -99.0
            b = torch.nn.Parameter(torch.tensor([33.0, 33.0, 33.0, 0.0]))
            return {"W": unit["W"], "U": unit["U"], "b": b}
    """,
}


def _run(**parts: str) -> str:
    """The loop of q07, with one part changed."""
    part = {
        "start": "state",
        "x": "x",
        "present": "(t < lengths)[:, None]",
        "output": "torch.where(present, new, torch.zeros_like(new))",
        "state": "torch.where(present, new, h)",
        "from": "h",
        "outputs": "torch.stack(outputs)",
        "last": "h",
    } | parts
    return f"""
        def run(step, inputs, state, lengths):
            h, outputs = {part["start"]}, []
            for t, x in enumerate(inputs):
                present = {part["present"]}
                new = step({part["x"]}, {part["from"]})
                outputs.append({part["output"]})
                h = {part["state"]}
            return {{"outputs": {part["outputs"]}, "last": {part["last"]}}}
    """


MUTANTS["q07-padding"] = {
    "padding read": _run(output="new", state="new"),
    "outputs zero, padding read": _run(state="new"),
    "outputs of padding kept": _run(output="new"),
    "state put out at padding": _run(output="torch.where(present, new, h)"),
    "state zero at padding": _run(state="torch.where(present, new, torch.zeros_like(new))"),
    "one step too many": _run(present="(t <= lengths)[:, None]"),
    "one step too few": _run(present="(t < lengths - 1)[:, None]"),
    "padding set to zero, and read": _run(
        x="torch.where(present, x, torch.zeros_like(x))", output="new", state="new"
    ),
    "outputs multiplied by the mask": _run(output="new * present"),
    "state multiplied by the mask": _run(state="new * present + h * ~present"),
    "begins at zeros": _run(start="torch.zeros_like(state)"),
    "each step from the first state": _run(**{"from": "state"}),
    "last step's output": _run(last="outputs[-1]"),
    "output at the last real step": _run(
        last="torch.stack(outputs)[lengths - 1, torch.arange(len(lengths))]"
    ),
    "batch first": _run(outputs="torch.stack(outputs, dim=1)"),
    "a list": _run(outputs="outputs"),
    "changes its state": """
        def run(step, inputs, state, lengths):
            outputs = []
            for t, x in enumerate(inputs):
                present = (t < lengths)[:, None]
                new = step(x, state)
                outputs.append(torch.where(present, new, torch.zeros_like(new)))
                state[:] = torch.where(present, new, state)
            return {"outputs": torch.stack(outputs), "last": state}
    """,
    "cleans its inputs": """
        def run(step, inputs, state, lengths):
            inputs.nan_to_num_(0.0)
            outputs = []
            for t, x in enumerate(inputs):
                present = (t < lengths)[:, None]
                new = step(x, state)
                outputs.append(torch.where(present, new, torch.zeros_like(new)))
                state = torch.where(present, new, state)
            return {"outputs": torch.stack(outputs), "last": state}
    """,
}
ALTERNATIVES["q07-padding"] = {
    "sequence by sequence": """
        def run(step, inputs, state, lengths):
            T, B = inputs.shape[:2]
            outputs = state.new_zeros(T, B, state.shape[1])
            last = state.clone()
            for b in range(B):
                for t in range(int(lengths[b])):
                    last[b : b + 1] = step(inputs[t, b : b + 1], last[b : b + 1])
                    outputs[t, b] = last[b]
            return {"outputs": outputs, "last": last}
    """,
    "only the rows that go on": """
        def run(step, inputs, state, lengths):
            h = state.clone()
            outputs = torch.zeros(*inputs.shape[:2], *state.shape[1:], dtype=state.dtype)
            for t in range(int(lengths.max())):
                rows = torch.nonzero(lengths > t)[:, 0]
                h[rows] = step(inputs[t][rows], h[rows])
                outputs[t, rows] = h[rows]
            return {"outputs": outputs, "last": h}
    """,
    "everything first, then taken out": """
        def run(step, inputs, state, lengths):
            states = [state]
            for x in inputs:
                states.append(step(x, states[-1]))
            states = torch.stack(states)  # (T + 1, B, m)
            padded = torch.arange(len(inputs))[:, None] >= lengths
            return {
                "outputs": states[1:].masked_fill(padded[:, :, None], 0),
                "last": states[lengths, torch.arange(len(lengths))],
            }
    """,
}


def _pool(**parts: str) -> str:
    """The two of q08, with one part changed."""
    part = {
        "present": "(torch.arange(len(outputs))[:, None] < lengths)[:, :, None]",
        "kept": "outputs.masked_fill(~present, 0.0)",
        "mean": "kept.sum(dim=0) / lengths.clamp(min=1)[:, None]",
        "low": "outputs.masked_fill(~present, -torch.inf)",
        "max": "low.amax(dim=0).masked_fill(lengths[:, None] == 0, 0.0)",
    } | parts
    return f"""
        def pool(outputs, lengths):
            present = {part["present"]}
            kept, low = {part["kept"]}, {part["low"]}
            return {{"mean": {part["mean"]}, "max": {part["max"]}}}
    """


MUTANTS["q08-pooling"] = {
    "mean over padding": _pool(mean="outputs.mean(dim=0)"),
    "mean with padding as zeros": _pool(mean="kept.mean(dim=0)"),
    "sum": _pool(mean="kept.sum(dim=0)"),
    "mean of nothing": _pool(mean="kept.sum(dim=0) / lengths[:, None]"),
    "mask multiplied": _pool(kept="outputs * present"),
    "maximum over padding": _pool(max="outputs.amax(dim=0)"),
    "padding as zeros in the maximum": _pool(max="kept.amax(dim=0)"),
    "maximum of nothing": _pool(max="low.amax(dim=0)"),
    "lowest number in place of minus infinity": _pool(
        low="outputs.masked_fill(~present, -10.0)",
        max="low.amax(dim=0)",
    ),
    "one step with the largest sum": _pool(
        max="kept[low.sum(dim=2).argmax(dim=0), torch.arange(len(lengths))]"
    ),
    "mask infinite by multiplication": _pool(low="outputs + (~present) * -1e9"),
    "one step too many": _pool(
        present="(torch.arange(len(outputs))[:, None] <= lengths)[:, :, None]"
    ),
    "one step too few": _pool(
        present="(torch.arange(1, len(outputs) + 1)[:, None] < lengths)[:, :, None]"
    ),
    "over the batch": """
        def pool(outputs, lengths):
            present = (torch.arange(len(outputs))[:, None] < lengths)[:, :, None]
            kept = outputs.masked_fill(~present, 0.0)
            low = outputs.masked_fill(~present, -torch.inf)
            return {"mean": kept.mean(dim=1), "max": low.amax(dim=1)}
    """,
    "zeros are padding": """
        def pool(outputs, lengths):
            present = outputs != 0
            low = outputs.masked_fill(~present, -torch.inf).amax(dim=0)
            return {
                "mean": outputs.sum(dim=0) / present.sum(dim=0).clamp(min=1),
                "max": torch.where(low.isinf(), torch.zeros_like(low), low),
            }
    """,
    "changes its input": _pool(kept="outputs.masked_fill_(~present, 0.0)"),
}
ALTERNATIVES["q08-pooling"] = {
    "sequence by sequence": """
        def pool(outputs, lengths):
            means, largest = [], []
            for b, n in enumerate(lengths.tolist()):
                own = outputs[:n, b] if n else outputs.new_zeros(1, outputs.shape[2])
                means.append(own.mean(dim=0))
                largest.append(own.max(dim=0).values)
            return {"mean": torch.stack(means), "max": torch.stack(largest)}
    """,
    "nanmean, nan_to_num": """
        def pool(outputs, lengths):
            steps = torch.arange(outputs.shape[0]).unsqueeze(1)
            padded = (steps >= lengths.unsqueeze(0)).unsqueeze(2)
            mean = outputs.masked_fill(padded, float("nan")).nanmean(dim=0).nan_to_num(0.0)
            largest, _ = outputs.masked_fill(padded, float("-inf")).max(dim=0)
            return {"mean": mean, "max": largest.masked_fill(largest.isneginf(), 0.0)}
    """,
    "weights of one over n": """
        def pool(outputs, lengths):
            present = torch.arange(len(outputs))[:, None].lt(lengths)
            weights = present / lengths.clamp(min=1)
            clean = torch.where(present[:, :, None], outputs, torch.zeros_like(outputs))
            mean = torch.einsum("tb,tbm->bm", weights.to(outputs.dtype), clean)
            floor = torch.finfo(outputs.dtype).min
            largest = torch.where(present[:, :, None], outputs, floor).amax(0)
            return {"mean": mean, "max": torch.where(lengths[:, None] > 0, largest, 0.0)}
    """,
}


def _directions(**parts: str) -> str:
    """The two readings of q09, with one part changed."""
    part = {
        "mirrored": "torch.where(present, lengths - 1 - steps, steps)",
        "present": "steps < lengths",
        "left": "forward(inputs)",
        "read": "inputs[mirrored, rows]",
        "right": "backward(read)",
        "back": "right[mirrored, rows]",
        "joined": "torch.cat([left, back], dim=2)",
        "result": "torch.where(present[:, :, None], joined, torch.zeros_like(joined))",
    } | parts
    return f"""
        def both_directions(forward, backward, inputs, lengths):
            T, B, _ = inputs.shape
            steps, rows = torch.arange(T)[:, None], torch.arange(B)
            present = {part["present"]}
            mirrored = {part["mirrored"]}
            left = {part["left"]}
            read = {part["read"]}
            right = {part["right"]}
            back = {part["back"]}
            joined = {part["joined"]}
            return {part["result"]}
    """


MUTANTS["q09-both-directions"] = {
    "padding turned round, too": _directions(read="inputs.flip(0)", back="right.flip(0)"),
    "padding turned round, outputs within the length": _directions(read="inputs.flip(0)"),
    "inputs within the length, outputs with the padding": _directions(back="right.flip(0)"),
    "outputs not turned back": _directions(back="right"),
    "not turned round at all": _directions(read="inputs", back="right"),
    "forward for both": _directions(right="forward(read)"),
    "layers swapped": _directions(left="backward(inputs)", right="forward(read)"),
    "backward's outputs first": _directions(joined="torch.cat([back, left], dim=2)"),
    "added": _directions(joined="left + back"),
    "one after the other in time": _directions(joined="torch.cat([left, back])", result="joined"),
    "numbers alternate": _directions(joined="torch.stack([left, back], dim=3).flatten(2)"),
    "padding kept": _directions(result="joined"),
    "padding multiplied by zero": _directions(result="joined * present[:, :, None]"),
    "one place off": _directions(
        mirrored="torch.where(present, lengths - steps, steps).clamp(max=T - 1)"
    ),
    "one step too many": _directions(
        present="steps <= lengths",
        mirrored=("torch.where(steps < lengths, lengths - 1 - steps, steps)"),
    ),
    "changes its input": """
        def both_directions(forward, backward, inputs, lengths):
            left = forward(inputs)
            for b, n in enumerate(lengths.tolist()):
                inputs[:n, b] = inputs[:n, b].flip(0)
            right = backward(inputs)
            for b, n in enumerate(lengths.tolist()):
                right[:n, b] = right[:n, b].flip(0)
                left[n:, b], right[n:, b] = 0, 0
            return torch.cat([left, right], dim=2)
    """,
}
ALTERNATIVES["q09-both-directions"] = {
    "each sequence alone": """
        def both_directions(forward, backward, inputs, lengths):
            T, B, _ = inputs.shape
            rows = []
            for b, n in enumerate(lengths.tolist()):
                # A sequence without steps is read for the shape alone.
                own = inputs[: max(n, 1), b : b + 1]
                pair = torch.cat([forward(own), backward(own.flip(0)).flip(0)], dim=2)
                row = pair.new_zeros(T, 1, pair.shape[2])
                row[:n] = pair[:n]
                rows.append(row)
            return torch.cat(rows, dim=1)
    """,
    "gather": """
        def both_directions(forward, backward, inputs, lengths):
            steps = torch.arange(inputs.shape[0]).unsqueeze(1).expand(inputs.shape[:2])
            there = (lengths - 1 - steps) % inputs.shape[0]
            there = torch.where(steps < lengths, there, steps)

            def turned(x):
                return x.gather(0, there.unsqueeze(2).expand(-1, -1, x.shape[2]))

            outputs = torch.cat((forward(inputs), turned(backward(turned(inputs)))), dim=-1)
            return outputs.masked_fill((steps >= lengths).unsqueeze(2), 0)
    """,
    "flip, piece by piece": """
        def both_directions(forward, backward, inputs, lengths):
            turned = inputs.clone()
            for b, n in enumerate(lengths.tolist()):
                turned[:n, b] = inputs[:n, b].flip(0)
            left, right = forward(inputs), backward(turned)
            result = torch.zeros(*left.shape[:2], 2 * left.shape[2], dtype=left.dtype)
            for b, n in enumerate(lengths.tolist()):
                result[:n, b] = torch.cat([left[:n, b], right[:n, b].flip(0)], dim=1)
            return result
    """,
}


_DOT = "(keys * query).sum(dim=2)"
_BILINEAR = "(keys * (query @ W)).sum(dim=2)"
_ADDITIVE = "torch.tanh(query @ W + keys @ U) @ v"


def _scores(dot: str = _DOT, bilinear: str = _BILINEAR, additive: str = _ADDITIVE) -> str:
    """The scores of q10, with one of them changed."""
    return f"""
        def dot_scores(query, keys):
            return {dot}


        def bilinear_scores(query, keys, W):
            return {bilinear}


        def additive_scores(query, keys, W, U, v):
            return {additive}
    """


MUTANTS["q10-scores"] = {
    "dot: divided by the root": _scores(dot="(keys * query).sum(dim=2) / query.shape[1] ** 0.5"),
    "dot: not added up": _scores(dot="keys * query"),
    "dot: mean": _scores(dot="(keys * query).mean(dim=2)"),
    "dot: every query": _scores(dot="keys @ query.T"),
    "dot: one query for all": _scores(dot="keys @ query[0]"),
    "dot: batch first": _scores(dot="(keys * query).sum(dim=2).T"),
    "dot: one axis kept": _scores(dot="(keys * query).sum(dim=2, keepdim=True)"),
    "dot: words added up": _scores(dot="(keys * query).sum(dim=0)"),
    "bilinear: W turned round": _scores(bilinear="(keys * (query @ W.T)).sum(dim=2)"),
    "bilinear: W forgotten": _scores(bilinear="(keys * query).sum(dim=2)"),
    "bilinear: W for the keys": _scores(bilinear="((keys @ W) * query).sum(dim=2)"),
    "additive: no tanh": _scores(additive="(query @ W + keys @ U) @ v"),
    "additive: two tanh": _scores(additive="(torch.tanh(query @ W) + torch.tanh(keys @ U)) @ v"),
    "additive: tanh of the score": _scores(additive="torch.tanh((query @ W + keys @ U) @ v)"),
    "additive: v forgotten": _scores(additive="torch.tanh(query @ W + keys @ U).sum(dim=2)"),
    "additive: query forgotten": _scores(additive="torch.tanh(keys @ U) @ v"),
    "additive: matrices swapped": _scores(additive="torch.tanh(query @ U + keys @ W) @ v"),
    "changes its query": _scores(dot="(keys * query.mul_(1.5)).sum(dim=2) / 1.5"),
}
ALTERNATIVES["q10-scores"] = {
    "einsum": _scores(
        dot='torch.einsum("bm,sbm->sb", query, keys)',
        bilinear='torch.einsum("bm,mk,sbk->sb", query, W, keys)',
        additive='torch.einsum("sba,a->sb", (query.mm(W).unsqueeze(0) + keys @ U).tanh(), v)',
    ),
    "bmm, batch first inside": """
        def dot_scores(query, keys):
            return torch.bmm(keys.transpose(0, 1), query.unsqueeze(2)).squeeze(2).T


        def bilinear_scores(query, keys, W):
            return dot_scores(torch.mm(query, W), keys)


        def additive_scores(query, keys, W, U, v):
            both = torch.cat([query.expand(len(keys), -1, -1), keys], dim=2)
            return torch.matmul(torch.tanh(both @ torch.cat([W, U])), v)
    """,
    "word by word": """
        def dot_scores(query, keys):
            scores = keys.new_empty(keys.shape[:2])
            for j, words in enumerate(keys):
                for b, h in enumerate(words):
                    scores[j, b] = torch.dot(query[b], h)
            return scores


        def bilinear_scores(query, keys, W):
            return torch.stack([torch.stack([s @ W @ h for s, h in zip(query, w)]) for w in keys])


        def additive_scores(query, keys, W, U, v):
            of_query = query @ W
            return torch.stack([torch.tanh(of_query + words @ U) @ v for words in keys])
    """,
}


def _attend(**parts: str) -> str:
    """Weights and context of q11, with one part changed."""
    part = {
        "masked": "scores.masked_fill(~present, -torch.inf)",
        "softmax": "torch.softmax(masked, dim=0)",
        "weights": "weights.masked_fill(~present, 0.0)",
        "values": "values.masked_fill(~present[:, :, None], 0.0)",
        "context": "(weights[:, :, None] * values).sum(dim=0)",
    } | parts
    return f"""
        def attend(scores, values, present):
            masked = {part["masked"]}
            weights = {part["softmax"]}
            weights = {part["weights"]}
            values = {part["values"]}
            return {{"weights": weights, "context": {part["context"]}}}
    """


MUTANTS["q11-attention"] = {
    "no mask": _attend(masked="scores", weights="weights", values="values"),
    "mask after softmax": _attend(masked="scores"),
    "zeros before softmax": _attend(masked="scores.masked_fill(~present, 0.0)", weights="weights"),
    "multiplied by the mask": _attend(masked="scores * present", weights="weights"),
    "mask turned round": _attend(
        masked="scores.masked_fill(present, -torch.inf)",
        weights="weights.masked_fill(present, 0.0)",
    ),
    "softmax over the batch": _attend(softmax="torch.softmax(masked, dim=1)"),
    "no word: nan": _attend(weights="weights"),
    "no word: all alike": _attend(masked="scores.masked_fill(~present, -1e9)", weights="weights"),
    "masked by a small number, then zeros": _attend(masked="scores.masked_fill(~present, -20.0)"),
    "nothing subtracted": _attend(softmax="torch.exp(masked) / torch.exp(masked).sum(dim=0)"),
    "one maximum for all": _attend(
        softmax="(lambda e: e / (e.sum(dim=0) + 1e-30))(torch.exp(masked - masked.max()))"
    ),
    "a small number below": _attend(
        softmax="(lambda e: e / (e.sum(dim=0) + 1e-2))"
        "(torch.exp(masked - masked.amax(dim=0).clamp(min=-1e30)))"
    ),
    "divided by the root": _attend(softmax="torch.softmax(masked / values.shape[2] ** 0.5, dim=0)"),
    "hardest attention": _attend(
        softmax="torch.nn.functional.one_hot(masked.argmax(dim=0), len(masked)).T.to(scores)"
    ),
    "context as a mean": _attend(context="(weights[:, :, None] * values).mean(dim=0)"),
    "context over the batch": _attend(context="(weights[:, :, None] * values).sum(dim=1)"),
    "values as they are": _attend(values="values"),
    "infinite added": _attend(masked="scores + torch.where(present, 0.0, -1e9)"),
    "changes its scores": _attend(masked="scores.masked_fill_(~present, -torch.inf)"),
    "changes its values": _attend(values="values.masked_fill_(~present[:, :, None], 0.0)"),
}
ALTERNATIVES["q11-attention"] = {
    "sentence by sentence": """
        def attend(scores, values, present):
            weights = torch.zeros_like(scores)
            context = values.new_zeros(values.shape[1:])
            for b in range(scores.shape[1]):
                there = present[:, b]
                if there.any():
                    weights[there, b] = scores[there, b].softmax(0)
                    context[b] = weights[there, b] @ values[there, b]
            return {"weights": weights, "context": context}
    """,
    "the maximum subtracted": """
        def attend(scores, values, present):
            largest = scores.masked_fill(~present, -torch.inf).amax(dim=0)
            largest = torch.where(present.any(dim=0), largest, 0)
            shifted = torch.where(present, scores - largest, -torch.inf)
            exponentials = torch.exp(shifted)
            total = exponentials.sum(dim=0)
            weights = exponentials / torch.where(total > 0, total, torch.ones_like(total))
            clean = torch.where(present.unsqueeze(2), values, torch.zeros_like(values))
            return {"weights": weights, "context": torch.einsum("sb,sbk->bk", weights, clean)}
    """,
    "log-sum-exp": """
        def attend(scores, values, present):
            e = scores.masked_fill(present.logical_not(), float("-inf"))
            weights = torch.exp(e - torch.logsumexp(e, dim=0)).nan_to_num(0.0)
            clean = values.clone()
            clean[~present] = 0
            context = torch.bmm(weights.T[:, None], clean.transpose(0, 1))[:, 0]
            return {"weights": weights, "context": context}
    """,
    "the lowest number, then zeros": """
        def attend(scores, values, present):
            e = torch.where(present, scores, torch.finfo(scores.dtype).min)
            weights = torch.where(present, torch.softmax(e, dim=0), torch.zeros_like(e))
            clean = torch.where(present[..., None], values, torch.zeros_like(values))
            return {"weights": weights, "context": (weights[..., None] * clean).sum(0)}
    """,
}


def _teacher(**parts: str) -> str:
    """The loss of q12, with one part changed."""
    part = {
        "read": "torch.cat([edge, words])",
        "targets": "torch.where(steps < lengths, torch.cat([words, edge]), stop)",
        "logits": "model(read)",
        "log_p": "torch.log_softmax(logits, dim=2)",
        "counted": "steps <= lengths",
        "loss": "losses[counted].mean()",
    } | parts
    return f"""
        def teacher_forced_loss(model, words, lengths, start, stop):
            T, B = words.shape
            edge, steps = words.new_full((1, B), start), torch.arange(T + 1)[:, None]
            read, targets = {part["read"]}, {part["targets"]}
            logits = {part["logits"]}
            log_p = {part["log_p"]}
            losses = -log_p.gather(2, targets[:, :, None])[:, :, 0]
            counted = {part["counted"]}
            return {part["loss"]}
    """


_STOPPED = "torch.where(steps < lengths, torch.cat([words, edge]), stop)"
MUTANTS["q12-teacher-forcing"] = {
    "not shifted": _teacher(targets="torch.cat([edge, words])"),
    "the targets are read": _teacher(read=_STOPPED),
    "STOP at the end of the batch": _teacher(
        targets="torch.cat([words, words.new_full((1, B), stop)])"
    ),
    "STOP of no sentence counts": _teacher(counted="steps < lengths"),
    "padding counts": _teacher(loss="losses.mean()"),
    "padding as zeros in the mean": _teacher(loss="losses.masked_fill(~counted, 0.0).mean()"),
    "padding multiplied by zero": _teacher(loss="(losses * counted).sum() / counted.sum()"),
    "word 0 is padding": _teacher(counted="(targets != 0) & (steps <= lengths)"),
    "word 0 is padding, lengths not used": _teacher(
        targets="torch.cat([words, edge]).masked_fill(torch.cat([words, 0 * edge]) == 0, stop)",
        counted="(torch.cat([edge, words]) != 0)",
    ),
    "sum": _teacher(loss="losses[counted].sum()"),
    "mean over sentences": _teacher(loss="losses[counted].sum() / B"),
    "mean of the sentences' means": _teacher(
        loss="(losses.masked_fill(~counted, 0.0).sum(dim=0) / (lengths + 1)).mean()"
    ),
    "one loss a token": _teacher(loss="losses[counted]"),
    "bits": _teacher(loss="losses[counted].mean() / 0.6931471805599453"),
    "softmax over the steps": _teacher(log_p="torch.log_softmax(logits, dim=0)"),
    "logits for logarithms": _teacher(log_p="logits"),
    "words alone are read": _teacher(
        read="words",
        targets="torch.where(steps[1:] < lengths, words.roll(-1, 0), stop)",
        counted="steps[1:] <= lengths",
    ),
    "a number no id for padding": _teacher(
        read="torch.where(steps <= lengths, torch.cat([edge, words]), -100)"
    ),
    "free running": """
        def teacher_forced_loss(model, words, lengths, start, stop):
            T, B = words.shape
            read = words.new_full((1, B), start)
            steps = torch.arange(T + 1)[:, None]
            targets = torch.where(steps < lengths, torch.cat([words, read]), stop)
            losses = []
            for t in range(T + 1):
                logits = model(read)[t]
                log_p = torch.log_softmax(logits, dim=1)
                losses.append(-log_p.gather(1, targets[t][:, None])[:, 0])
                read = torch.cat([read, logits.argmax(dim=1)[None]])
            return torch.stack(losses)[steps <= lengths].mean()
    """,
    "changes its words": """
        def teacher_forced_loss(model, words, lengths, start, stop):
            T, B = words.shape
            steps = torch.arange(T + 1)[:, None]
            read = torch.cat([words.new_full((1, B), start), words])
            log_p = torch.log_softmax(model(read), dim=2)
            words[steps[:-1] >= lengths] = stop
            targets = torch.cat([words, words.new_full((1, B), stop)])
            losses = -log_p.gather(2, targets[:, :, None])[:, :, 0]
            return losses[steps <= lengths].mean()
    """,
}
ALTERNATIVES["q12-teacher-forcing"] = {
    "cross_entropy with an ignored index": """
        from torch.nn import functional as F


        def teacher_forced_loss(model, words, lengths, start, stop):
            T, B = words.shape
            read = torch.full((T + 1, B), start)
            read[1:] = words
            targets = torch.full((T + 1, B), -100)
            for b, n in enumerate(lengths.tolist()):
                targets[:n, b] = words[:n, b]
                targets[n, b] = stop
            logits = model(read)
            return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
    """,
    "sentence by sentence": """
        import math


        def teacher_forced_loss(model, words, lengths, start, stop):
            rows = torch.full((1, words.shape[1]), start)
            logits = model(torch.cat([rows, words], dim=0))
            total, tokens = 0.0, 0
            for b, n in enumerate(lengths.tolist()):
                for t, target in enumerate([*words[:n, b].tolist(), stop]):
                    scores = logits[t, b].double()
                    total += float(torch.logsumexp(scores, dim=0) - scores[target])
                    tokens += 1
            return total / tokens
    """,
    "scatter and padding made START": """
        def teacher_forced_loss(model, words, lengths, start, stop):
            T, B = words.shape
            padded = torch.arange(T)[:, None] >= lengths
            read = torch.full((T + 1, B), start)
            read[1:] = words.masked_fill(padded, start)
            targets = torch.cat([words, words[:1]]).scatter(0, lengths.long()[None], stop)
            log_p = model(read).log_softmax(dim=-1)
            steps, rows = (torch.arange(T + 1)[:, None] <= lengths).nonzero(as_tuple=True)
            return -log_p[steps, rows, targets[steps, rows]].mean().item()
    """,
}
