"""Known answers to the questions of 04-backpropagation: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _forward(**parts: str) -> str:
    """Two layers forward, with one part changed."""
    sums = parts.get("sums", 'parameters["W1"] @ inputs + parameters["b1"][:, None]')
    hidden = parts.get("hidden", "np.maximum(0, sums)")
    scores = parts.get("scores", 'parameters["W2"] @ hidden + parameters["b2"][:, None]')
    returned = parts.get("returned", '{"hidden": hidden, "scores": scores}')
    return f"""
        def forward(parameters, inputs):
            sums = {sums}
            hidden = {hidden}
            scores = {scores}
            return {returned}
    """


MUTANTS["q01-forward"] = {
    "first bias forgotten": _forward(sums='parameters["W1"] @ inputs'),
    "second bias forgotten": _forward(scores='parameters["W2"] @ hidden'),
    "bias along the examples": _forward(sums='parameters["W1"] @ inputs + parameters["b1"]'),
    "no ReLU": _forward(hidden="sums"),
    "ReLU after the last layer, too": _forward(
        scores='np.maximum(0, parameters["W2"] @ hidden + parameters["b2"][:, None])'
    ),
    "bias after ReLU": _forward(
        sums='parameters["W1"] @ inputs',
        hidden='np.maximum(0, sums) + parameters["b1"][:, None]',
    ),
    "absolute value": _forward(hidden="np.abs(sums)"),
    "sums for hidden": _forward(returned='{"hidden": sums, "scores": scores}'),
    "one example a row": _forward(returned='{"hidden": hidden.T, "scores": scores.T}'),
    "weights the other way round": _forward(
        sums='parameters["W1"].T @ inputs + parameters["b1"][:, None]'
    ),
    "axes of length 1 squeezed": _forward(
        returned='{"hidden": hidden.squeeze(), "scores": scores.squeeze()}'
    ),
    "sigmoid": _forward(hidden="1 / (1 + np.exp(-sums))"),
    "changes its input": """
        def forward(parameters, inputs):
            hidden = parameters["W1"] @ inputs + parameters["b1"][:, None]
            hidden[hidden < 0] = 0
            inputs[inputs < 0] = 0
            return {
                "hidden": hidden,
                "scores": parameters["W2"] @ hidden + parameters["b2"][:, None],
            }
    """,
}
ALTERNATIVES["q01-forward"] = {
    "example by example": """
        def forward(parameters, inputs):
            W1, b1, W2, b2 = (parameters[name] for name in ("W1", "b1", "W2", "b2"))
            hidden, scores = [], []
            for x in inputs.T:
                sums = W1.dot(x) + b1
                hidden.append([n if n > 0 else 0.0 for n in sums])
                scores.append(W2.dot(hidden[-1]) + b2)
            return {"hidden": np.array(hidden).T, "scores": np.array(scores).T}
    """,
    "bias as a weight": """
        def forward(parameters, inputs):
            def layer(W, b, z):
                return np.column_stack([W, b]) @ np.vstack([z, np.ones(z.shape[1])])

            hidden = layer(parameters["W1"], parameters["b1"], inputs)
            hidden = np.where(hidden > 0, hidden, 0)
            return {
                "hidden": hidden,
                "scores": layer(parameters["W2"], parameters["b2"], hidden),
            }
    """,
    "float32": """
        def forward(parameters, inputs):
            W1, b1, W2, b2 = (
                parameters[name].astype(np.float32) for name in ("W1", "b1", "W2", "b2")
            )
            hidden = (W1 @ inputs.astype(np.float32) + b1[:, None]).clip(min=0)
            return {"hidden": hidden, "scores": W2 @ hidden + b2[:, None]}
    """,
    "torch, examples as rows": """
        import torch


        def forward(parameters, inputs):
            W1, b1, W2, b2 = (
                torch.tensor(parameters[name], dtype=torch.float64)
                for name in ("W1", "b1", "W2", "b2")
            )
            x = torch.tensor(inputs, dtype=torch.float64).T
            hidden = torch.relu(torch.nn.functional.linear(x, W1, b1))
            scores = torch.nn.functional.linear(hidden, W2, b2)
            return {"hidden": hidden.T.numpy(), "scores": scores.T.numpy()}
    """,
}


def _cross_entropy(**parts: str) -> str:
    """Cross-entropy of q02, with one part changed."""
    shift = parts.get("shift", "scores - scores.max(axis=0)")
    log_p = parts.get("log_p", "shifted - np.log(np.exp(shifted).sum(axis=0))")
    loss = parts.get("loss", "-log_p[targets, np.arange(len(targets))].mean()")
    return f"""
        def cross_entropy(scores, targets):
            shifted = {shift}
            log_p = {log_p}
            return float({loss})
    """


_P = "np.exp(shifted) / np.exp(shifted).sum(axis=0)"
MUTANTS["q02-cross-entropy"] = {
    "nothing subtracted": _cross_entropy(shift="scores"),
    "logarithm of a rounded probability": _cross_entropy(log_p=f"np.log({_P})"),
    "a small number added": _cross_entropy(log_p=f"np.log({_P} + 1e-12)"),
    "scores clipped": _cross_entropy(shift="np.clip(scores, -50, 50)"),
    "one maximum for all": _cross_entropy(shift="scores - scores.max()"),
    "sum of the batch": _cross_entropy(loss="-log_p[targets, np.arange(len(targets))].sum()"),
    "sign": _cross_entropy(loss="log_p[targets, np.arange(len(targets))].mean()"),
    "logarithm to base 2": _cross_entropy(
        loss="-log_p[targets, np.arange(len(targets))].mean() / np.log(2)"
    ),
    "softmax along the rows": _cross_entropy(
        shift="scores - scores.max(axis=1, keepdims=True)",
        log_p="shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
    ),
    "example for class": _cross_entropy(loss="-log_p[np.arange(len(targets)), targets].mean()"),
    "rows are examples": """
        def cross_entropy(scores, targets):
            shifted = scores - scores.max(axis=1, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            return -log_p[np.arange(len(targets)), targets].mean()
    """,
    "whole rows": _cross_entropy(loss="-log_p[targets].mean()"),
    "probability, not its logarithm": _cross_entropy(
        loss="1 - np.exp(log_p)[targets, np.arange(len(targets))].mean()"
    ),
    "divided by the classes": _cross_entropy(
        loss="-log_p[targets, np.arange(len(targets))].sum() / len(scores)"
    ),
    "one loss an example": """
        def cross_entropy(scores, targets):
            log_p = scores - np.logaddexp.reduce(scores, axis=0)
            return -log_p[targets, np.arange(len(targets))]
    """,
    "changes its input": """
        def cross_entropy(scores, targets):
            scores -= scores.max(axis=0)
            scores -= np.log(np.exp(scores).sum(axis=0))
            return -scores[targets, np.arange(len(targets))].mean()
    """,
}
ALTERNATIVES["q02-cross-entropy"] = {
    "example by example": """
        import math


        def cross_entropy(scores, targets):
            total = 0.0
            for b, target in enumerate(targets):
                column = [float(score) for score in scores[:, b]]
                largest = max(column)
                z = sum(math.exp(score - largest) for score in column)
                total += largest + math.log(z) - column[target]
            return total / len(targets)
    """,
    "one hot": """
        def cross_entropy(scores, targets):
            observed = np.eye(scores.shape[0])[targets].T
            log_p = scores - np.logaddexp.reduce(scores, axis=0)
            return -(observed * log_p).sum(axis=0).mean()
    """,
    "float32": """
        def cross_entropy(scores, targets):
            scores = scores.astype(np.float32)
            scores = scores - scores.max(axis=0)
            log_z = np.log(np.exp(scores).sum(axis=0))
            return (log_z - np.take_along_axis(scores, targets[None], axis=0)[0]).mean()
    """,
    "torch": """
        import torch


        def cross_entropy(scores, targets):
            rows = torch.tensor(scores, dtype=torch.float64).T
            return torch.nn.functional.cross_entropy(rows, torch.tensor(targets).long()).item()
    """,
}


def _score_gradient(result: str, shift: str = "scores - scores.max(axis=0)") -> str:
    return f"""
        def score_gradient(scores, targets):
            C, B = scores.shape
            p = np.exp({shift})
            p = p / p.sum(axis=0)
            return {result}
    """


MUTANTS["q03-score-gradient"] = {
    "gradient of the sum": _score_gradient("p - targets"),
    "sign of ascent": _score_gradient("(targets - p) / B"),
    "divided by the classes": _score_gradient("(p - targets) / C"),
    "divided by both": _score_gradient("(p - targets) / (C * B)"),
    "targets forgotten": _score_gradient("p / B"),
    "sigmoid's slope as well": _score_gradient("(p - targets) * p * (1 - p) / B"),
    "targets made hard": _score_gradient("(p - np.eye(C)[:, targets.argmax(axis=0)]) / B"),
    "nothing subtracted": _score_gradient("(p - targets) / B", shift="scores"),
    "one maximum for all": _score_gradient("(p - targets) / B", shift="scores - scores.max()"),
    "by the probabilities": _score_gradient("-targets / p / B"),
    "only where the targets are": _score_gradient("np.where(targets > 0, p - targets, 0) / B"),
    "softmax along the rows": """
        def score_gradient(scores, targets):
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            return (p / p.sum(axis=1, keepdims=True) - targets) / scores.shape[1]
    """,
    "transposed": _score_gradient("((p - targets) / B).T"),
    "changes its targets": """
        def score_gradient(scores, targets):
            p = np.exp(scores - scores.max(axis=0))
            targets -= p / p.sum(axis=0)
            return -targets / scores.shape[1]
    """,
}
ALTERNATIVES["q03-score-gradient"] = {
    "class by class": """
        def score_gradient(scores, targets):
            C, B = scores.shape
            gradient = np.zeros((C, B))
            for b in range(B):
                log_z = np.logaddexp.reduce(scores[:, b].astype(float))
                for c in range(C):
                    gradient[c, b] = (np.exp(scores[c, b] - log_z) - targets[c, b]) / B
            return gradient
    """,
    "through the Jacobian": """
        def score_gradient(scores, targets):
            log_p = scores - np.logaddexp.reduce(scores, axis=0)
            p = np.exp(log_p)
            # ∂ log p_i / ∂s_k = [i = k] - p_k
            jacobians = np.eye(len(p))[:, :, None] - p[None, :, :]
            return -np.einsum("ib,ikb->kb", targets, jacobians) / p.shape[1]
    """,
    "float32": """
        def score_gradient(scores, targets):
            p = np.exp((scores - scores.max(axis=0)).astype(np.float32))
            return (p / p.sum(axis=0) - targets.astype(np.float32)) / np.float32(p.shape[1])
    """,
    "torch derives it": """
        import torch


        def score_gradient(scores, targets):
            rows = torch.tensor(scores.T, dtype=torch.float64, requires_grad=True)
            wanted = torch.tensor(targets.T, dtype=torch.float64)
            torch.nn.functional.cross_entropy(rows, wanted).backward()
            return rows.grad.numpy().T
    """,
}


def _softmax_backward(
    product: str, jacobian: str = "np.diag(probabilities) - np.outer(probabilities, probabilities)"
) -> str:
    return f"""
        def softmax_jacobian(probabilities):
            return {jacobian}


        def softmax_backward(probabilities, upstream):
            p, g = probabilities, upstream
            return {product}
    """


_RIGHT = "p * (g - (p * g).sum(axis=0))"
MUTANTS["q04-softmax-backward"] = {
    "diagonal only": _softmax_backward("p * (1 - p) * g"),
    "first part only": _softmax_backward("p * g"),
    "sign": _softmax_backward("p * ((p * g).sum(axis=0) - g)"),
    "sum over all columns": _softmax_backward("p * (g - (p * g).sum())"),
    "sum along the rows": _softmax_backward("p * (g - (p * g).sum(axis=1, keepdims=True))"),
    "sum of g": _softmax_backward("p * (g - g.sum(axis=0))"),
    "mean of g": _softmax_backward("p * (g - g.mean(axis=0))"),
    "probability minus gradient": _softmax_backward("p - g"),
    "Jacobian with a plus": _softmax_backward(
        _RIGHT, "np.diag(probabilities) + np.outer(probabilities, probabilities)"
    ),
    "Jacobian's sign": _softmax_backward(
        _RIGHT, "np.outer(probabilities, probabilities) - np.diag(probabilities)"
    ),
    "Jacobian is diagonal": _softmax_backward(
        _RIGHT, "np.diag(probabilities * (1 - probabilities))"
    ),
    "Jacobian is a vector": _softmax_backward(_RIGHT, "probabilities * (1 - probabilities)"),
    "Jacobian with [i = k] - p_k": _softmax_backward(
        _RIGHT, "np.eye(len(probabilities)) - probabilities"
    ),
    "builds the Jacobian": """
        def softmax_jacobian(probabilities):
            return np.diag(probabilities) - np.outer(probabilities, probabilities)


        def softmax_backward(probabilities, upstream):
            columns = [softmax_jacobian(p) @ g for p, g in zip(probabilities.T, upstream.T)]
            return np.stack(columns, axis=1)
    """,
    "changes its input": """
        def softmax_jacobian(probabilities):
            return np.diag(probabilities) - np.outer(probabilities, probabilities)


        def softmax_backward(probabilities, upstream):
            upstream -= (probabilities * upstream).sum(axis=0)
            upstream *= probabilities
            return upstream
    """,
}
ALTERNATIVES["q04-softmax-backward"] = {
    "entry by entry": """
        def softmax_jacobian(probabilities):
            p = probabilities
            n = len(p)
            return np.array([[p[i] * ((i == k) - p[k]) for k in range(n)] for i in range(n)])


        def softmax_backward(probabilities, upstream):
            columns = []
            for p, g in zip(probabilities.T, upstream.T):
                columns.append(p * g - p * (p @ g))
            return np.array(columns).T
    """,
    "einsum": """
        def softmax_jacobian(probabilities):
            p = np.asarray(probabilities)
            return np.eye(len(p)) * p - p[:, None] * p


        def softmax_backward(probabilities, upstream):
            along = np.einsum("nb,nb->b", probabilities, upstream)
            return np.einsum("nb,nb->nb", probabilities, upstream - along[None, :])
    """,
    "float32": """
        def softmax_jacobian(probabilities):
            p = probabilities.astype(np.float32)
            return np.diag(p) - np.outer(p, p)


        def softmax_backward(probabilities, upstream):
            p, g = probabilities.astype(np.float32), upstream.astype(np.float32)
            return p * (g - (p * g).sum(axis=0, keepdims=True))
    """,
}


def _backward(**parts: str) -> str:
    """Gradients of two layers, with one part changed."""
    sums = parts.get("sums", 'parameters["W1"] @ inputs + parameters["b1"][:, None]')
    at_hidden = parts.get("at_hidden", 'parameters["W2"].T @ upstream')
    at_sums = parts.get("at_sums", "at_hidden * (sums > 0)")
    return f"""
        def backward(parameters, inputs, upstream):
            B = inputs.shape[1]
            sums = {sums}
            hidden = np.maximum(0, sums)
            at_hidden = {at_hidden}
            at_sums = {at_sums}
            return {{
                "W1": {parts.get("W1", "at_sums @ inputs.T")},
                "b1": {parts.get("b1", "at_sums.sum(axis=1)")},
                "W2": {parts.get("W2", "upstream @ hidden.T")},
                "b2": {parts.get("b2", "upstream.sum(axis=1)")},
                "inputs": {parts.get("inputs", 'parameters["W1"].T @ at_sums')},
            }}
    """


MUTANTS["q05-two-layer-backward"] = {
    "ReLU forgotten": _backward(at_sums="at_hidden"),
    "mask of the gradient": _backward(at_sums="at_hidden * (at_hidden > 0)"),
    "slope 1 at 0": _backward(at_sums="at_hidden * (sums >= 0)"),
    "slope 1/2 at 0": _backward(at_sums="at_hidden * np.heaviside(sums, 0.5)"),
    "times the hidden units": _backward(at_sums="at_hidden * hidden"),
    "divided by B again": _backward(at_hidden='parameters["W2"].T @ upstream / B'),
    "mean of the biases": _backward(b1="at_sums.mean(axis=1)", b2="upstream.mean(axis=1)"),
    "bias gradient not summed": _backward(b1="at_sums", b2="upstream"),
    "bias gradient with keepdims": _backward(
        b1="at_sums.sum(axis=1, keepdims=True)", b2="upstream.sum(axis=1, keepdims=True)"
    ),
    "sum over the units": _backward(b1="at_sums.sum(axis=0)", b2="upstream.sum(axis=0)"),
    "sums for hidden units": _backward(W2="upstream @ sums.T"),
    "transposed weights": _backward(W1="inputs @ at_sums.T", W2="hidden @ upstream.T"),
    "inputs without ReLU": _backward(inputs='parameters["W1"].T @ at_hidden'),
    "first weights without ReLU": _backward(W1="at_hidden @ inputs.T"),
    "first bias forgotten": _backward(sums='parameters["W1"] @ inputs'),
    "hidden units for inputs": _backward(W1="at_sums @ hidden.T"),
    "W2 not transposed": _backward(at_hidden='parameters["W2"] @ upstream'),
    "changes what arrives": """
        def backward(parameters, inputs, upstream):
            sums = parameters["W1"] @ inputs + parameters["b1"][:, None]
            at_sums = parameters["W2"].T @ upstream
            at_sums[sums <= 0] = 0
            result = {
                "W1": at_sums @ inputs.T,
                "b1": at_sums.sum(axis=1),
                "W2": upstream @ np.maximum(0, sums).T,
                "b2": upstream.sum(axis=1),
                "inputs": parameters["W1"].T @ at_sums,
            }
            upstream[:] = 0
            return result
    """,
}
ALTERNATIVES["q05-two-layer-backward"] = {
    "example by example": """
        def backward(parameters, inputs, upstream):
            gradients = {name: np.zeros(array.shape) for name, array in parameters.items()}
            gradients["inputs"] = np.zeros(inputs.shape)
            for b in range(inputs.shape[1]):
                x, g = inputs[:, b], upstream[:, b]
                sums = parameters["W1"] @ x + parameters["b1"]
                delta = g @ parameters["W2"]
                delta[sums <= 0] = 0
                gradients["W2"] += np.outer(g, np.where(sums > 0, sums, 0))
                gradients["b2"] += g
                gradients["W1"] += np.outer(delta, x)
                gradients["b1"] += delta
                gradients["inputs"][:, b] = delta @ parameters["W1"]
            return gradients
    """,
    "einsum": """
        def backward(parameters, inputs, upstream):
            W1, b1, W2 = parameters["W1"], parameters["b1"], parameters["W2"]
            sums = np.einsum("hd,db->hb", W1, inputs) + b1.reshape(-1, 1)
            is_open = np.sign(sums).clip(min=0)
            at_sums = np.einsum("ch,cb,hb->hb", W2, upstream, is_open)
            return {
                "W1": np.einsum("hb,db->hd", at_sums, inputs),
                "b1": np.einsum("hb->h", at_sums),
                "W2": np.einsum("cb,hb->ch", upstream, sums * is_open),
                "b2": np.einsum("cb->c", upstream),
                "inputs": np.einsum("hd,hb->db", W1, at_sums),
            }
    """,
    "torch derives it": """
        import torch


        def backward(parameters, inputs, upstream):
            names = ["W1", "b1", "W2", "b2", "inputs"]
            given = {**parameters, "inputs": inputs}
            leaves = [
                torch.tensor(given[name], dtype=torch.float64, requires_grad=True) for name in names
            ]
            W1, b1, W2, b2, x = leaves
            scores = W2 @ torch.relu(W1 @ x + b1[:, None]) + b2[:, None]
            loss = (scores * torch.tensor(upstream, dtype=torch.float64)).sum()
            gradients = torch.autograd.grad(loss, leaves)
            return {name: gradient.numpy() for name, gradient in zip(names, gradients)}
    """,
    "float32": """
        def backward(parameters, inputs, upstream):
            W1, b1, W2 = (parameters[name].astype(np.float32) for name in ("W1", "b1", "W2"))
            x, g = inputs.astype(np.float32), upstream.astype(np.float32)
            sums = W1 @ x + b1[:, None]
            delta = np.where(sums > 0, W2.T @ g, np.float32(0))
            return {
                "W1": delta @ x.T,
                "b1": delta.sum(axis=1),
                "W2": g @ sums.clip(min=0).T,
                "b2": g.sum(axis=1),
                "inputs": W1.T @ delta,
            }
    """,
}

_RELATIVE = """np.linalg.norm(np.ravel(analytic - numeric)) / max(
        np.linalg.norm(np.ravel(analytic)), np.linalg.norm(np.ravel(numeric)), 1e-300
    )"""


def _gradient_check(
    slope: str = "(f(up) - f(down)) / (2 * step)",
    error: str = _RELATIVE,
    start: str = "np.array(x, dtype=np.float64)",
) -> str:
    return f"""
def numeric_gradient(f, x, step=1e-5):
    x = {start}
    gradient = np.zeros(np.shape(x))
    for place in np.ndindex(np.shape(x)):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        gradient[place] = {slope}
    return gradient


def relative_error(analytic, numeric):
    return {error}
"""


_CHECK_BEGIN = """
def relative_error(analytic, numeric):
    longer = max(np.sqrt((analytic**2).sum()), np.sqrt((numeric**2).sum()))
    return np.sqrt(((analytic - numeric) ** 2).sum()) / longer if longer > 0 else 0.0


"""
MUTANTS["q06-gradient-check"] = {
    "forward difference": _gradient_check("(f(up) - f(x)) / step"),
    "backward difference": _gradient_check("(f(x) - f(down)) / step"),
    "divided by the step once": _gradient_check("(f(up) - f(down)) / step"),
    "step is fixed": _gradient_check()
    .replace("+= step", "+= 1e-5")
    .replace("-= step", "-= 1e-5")
    .replace("2 * step", "2e-5"),
    "sign": _gradient_check("(f(down) - f(up)) / (2 * step)"),
    "whole numbers stay whole": _gradient_check(start="np.array(x)"),
    "float32 stays float32": _gradient_check(
        start="np.array(x, dtype=np.result_type(np.asarray(x), np.float16))"
    ),
    "length of the difference alone": _gradient_check(
        error="np.linalg.norm(np.ravel(analytic - numeric))"
    ),
    "by the sum of the lengths": _gradient_check(
        error=_RELATIVE.replace("max(", "sum([").replace("1e-300\n    )", "1e-300\n    ])")
    ),
    "by the length of the first": _gradient_check(
        error="np.linalg.norm(np.ravel(analytic - numeric)) / np.linalg.norm(np.ravel(analytic))"
    ),
    "0/0 for two zeros": _gradient_check(error=_RELATIVE.replace(", 1e-300", "")),
    "a small number added below": _gradient_check(
        error="np.linalg.norm(np.ravel(analytic - numeric)) / (1e-8 + max("
        "np.linalg.norm(np.ravel(analytic)), np.linalg.norm(np.ravel(numeric))))"
    ),
    "largest entry for length": _gradient_check(
        error="np.abs(analytic - numeric).max(initial=0) / max("
        "np.abs(analytic).max(initial=0), np.abs(numeric).max(initial=0), 1e-300)"
    ),
    "entry by entry": _gradient_check(
        error="np.abs(analytic - numeric) / np.maximum(np.abs(analytic), np.abs(numeric))"
    ),
    "squares without root": _gradient_check(
        error="((analytic - numeric) ** 2).sum() / max("
        "(analytic**2).sum(), (numeric**2).sum(), 1e-300)"
    ),
    "all numbers at once": _CHECK_BEGIN
    + """
def numeric_gradient(f, x, step=1e-5):
    x = np.array(x, dtype=float)
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        gradient[place] = (f(x + step) - f(x - step)) / (2 * step)
    return gradient
""",
    "not put back": _CHECK_BEGIN
    + """
def numeric_gradient(f, x, step=1e-5):
    x = np.array(x, dtype=float)
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        x[place] += step
        above = f(x)
        x[place] -= 2 * step
        gradient[place] = (above - f(x)) / (2 * step)
    return gradient
""",
    "changes its input": _CHECK_BEGIN
    + """
def numeric_gradient(f, x, step=1e-5):
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        x[place] += step
        above = f(x)
        x[place] -= 2 * step
        below = f(x)
        x[place] += step
        gradient[place] = (above - below) / (2 * step)
    return gradient
""",
    "vectors only": _CHECK_BEGIN
    + """
def numeric_gradient(f, x, step=1e-5):
    x = np.array(x, dtype=float)
    gradient = np.zeros(len(x))
    for i in range(len(x)):
        move = np.zeros(len(x))
        move[i] = step
        gradient[i] = (f(x + move) - f(x - move)) / (2 * step)
    return gradient
""",
    "hands over a flat array": _CHECK_BEGIN
    + """
def numeric_gradient(f, x, step=1e-5):
    shape, x = np.shape(x), np.array(x, dtype=float).ravel()
    moves = step * np.eye(x.size)
    return np.array([(f(x + move) - f(x - move)) / (2 * step) for move in moves]).reshape(shape)
""",
}
ALTERNATIVES["q06-gradient-check"] = {
    "one unit at a time": """
        def numeric_gradient(f, x, step=1e-5):
            x = np.asarray(x, dtype=np.float64)
            units = np.eye(x.size).reshape(x.size, *x.shape)
            slopes = [(f(x + step * e) - f(x - step * e)) / (2 * step) for e in units]
            return np.array(slopes, dtype=np.float64).reshape(x.shape)


        def relative_error(analytic, numeric):
            lengths = [np.linalg.norm(np.ravel(g)) for g in (analytic, numeric)]
            if max(lengths) == 0:
                return 0
            return np.linalg.norm(np.ravel(np.subtract(analytic, numeric))) / max(lengths)
    """,
    "moved and put back": """
        import math


        def numeric_gradient(f, x, step=1e-5):
            x = np.array(x, dtype=np.float64)
            gradient = np.empty_like(x)
            for place in np.ndindex(*x.shape):
                value = x[place]
                ends = []
                for end in (value - step, value + step):
                    x[place] = end
                    ends.append(f(x))
                x[place] = value
                gradient[place] = (ends[1] - ends[0]) / (2 * step)
            return gradient


        def relative_error(analytic, numeric):
            a, n = np.ravel(analytic).tolist(), np.ravel(numeric).tolist()
            longer = max(math.hypot(*a), math.hypot(*n))
            return math.dist(a, n) / longer if longer else 0.0
    """,
    "added and taken away": """
        def numeric_gradient(f, x, step=1e-5):
            x = np.array(x, dtype=float)
            gradient = np.zeros_like(x)
            for place in np.ndindex(x.shape):
                x[place] += step
                above = f(x)
                x[place] -= 2 * step
                gradient[place] = (above - f(x)) / (2 * step)
                x[place] += step
            return gradient


        def relative_error(analytic, numeric):
            a, n = np.asarray(analytic), np.asarray(numeric)
            length = lambda g: float(np.sqrt(np.sum(np.square(g))))
            longer = max(length(a), length(n))
            return length(a - n) / longer if longer > 0 else 0.0
    """,
}


def _rules(
    add: str = "fit(g, a), fit(g, b)",
    mul: str = "fit(g * b, a), fit(g * a, b)",
    matmul: str = "g @ b.T, fit(np.swapaxes(a, -1, -2) @ g, b)",
    fit: str = "",
) -> str:
    """The three rules of q08, with one part changed."""
    fit = (
        fit
        or """
def fit(g, operand):
    while g.ndim > operand.ndim:
        g = g.sum(axis=0)
    for axis, n in enumerate(operand.shape):
        if n == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g
"""
    )
    return f"""
{fit}

def add_backward(upstream, a, b):
    g = upstream
    return {add}


def mul_backward(upstream, a, b):
    g = upstream
    return {mul}


def matmul_backward(upstream, a, b):
    g = upstream
    return {matmul}
"""


MUTANTS["q08-graph-rules"] = {
    "nothing summed": _rules(fit="def fit(g, operand):\n    return g"),
    "added axes only": _rules(
        fit="""
def fit(g, operand):
    while g.ndim > operand.ndim:
        g = g.sum(axis=0)
    return g
"""
    ),
    "stretched axes only": _rules(
        fit="""
def fit(g, operand):
    for axis, n in enumerate(operand.shape):
        if n == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g
"""
    ),
    "without keepdims": _rules(
        fit="""
def fit(g, operand):
    while g.ndim > operand.ndim:
        g = g.sum(axis=0)
    stretched = tuple(i for i, n in enumerate(operand.shape) if n == 1 and g.shape[i] > 1)
    return g.sum(axis=stretched)
"""
    ),
    "mean of the copies": _rules(
        fit="""
def fit(g, operand):
    while g.ndim > operand.ndim:
        g = g.mean(axis=0)
    for axis, n in enumerate(operand.shape):
        if n == 1:
            g = g.mean(axis=axis, keepdims=True)
    return g
"""
    ),
    "first of the copies": _rules(
        fit="""
def fit(g, operand):
    while g.ndim > operand.ndim:
        g = g[0]
    for axis, n in enumerate(operand.shape):
        if n == 1:
            g = g.take([0], axis=axis)
    return g
"""
    ),
    "cut to size": _rules(
        fit="def fit(g, operand):\n    return np.resize(g, operand.shape)",
    ),
    "axes added behind": _rules(
        fit="""
def fit(g, operand):
    while g.ndim > operand.ndim:
        g = g.sum(axis=-1)
    for axis, n in enumerate(operand.shape):
        if n == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g
"""
    ),
    "own value for the other": _rules(mul="fit(g * a, a), fit(g * b, b)"),
    "product as a sum": _rules(mul="fit(g, a), fit(g, b)"),
    "summed before multiplied": _rules(
        mul="fit(np.broadcast_to(fit(g, a) * b, g.shape), a), fit(g, b) * np.sum(a)"
    ),
    "multiplied after the sum": _rules(
        mul="fit(g, a) * fit(np.broadcast_to(b, g.shape), a), "
        "fit(g, b) * fit(np.broadcast_to(a, g.shape), b)"
    ),
    "operands swapped": _rules(add="fit(g, b), fit(g, a)"),
    "product in the wrong order": _rules(matmul="b.T @ g, fit(np.swapaxes(a, -1, -2) @ g, b)"),
    "nothing transposed": _rules(matmul="g @ b, a @ g"),
    "all axes of the stack turned round": _rules(matmul="g @ b.T, fit(a.T @ g, b)"),
    "stack not summed": _rules(matmul="g @ b.T, np.swapaxes(a, -1, -2) @ g"),
    "mean of the stack": _rules(
        matmul="g @ b.T, (np.swapaxes(a, -1, -2) @ g).reshape(-1, *b.shape).mean(axis=0)"
    ),
    "changes its arguments": _rules(mul="fit(g * b, a), fit(np.multiply(g, a, out=g), b)"),
}
ALTERNATIVES["q08-graph-rules"] = {
    "by reshaping": """
        def shrink(g, shape):
            wide = (1,) * (g.ndim - len(shape)) + tuple(shape)
            axes = tuple(axis for axis, n in enumerate(wide) if n == 1)
            return np.sum(g, axis=axes).reshape(shape)


        def add_backward(upstream, a, b):
            return [shrink(upstream, operand.shape) for operand in (a, b)]


        def mul_backward(upstream, a, b):
            return [shrink(upstream * b, a.shape), shrink(upstream * a, b.shape)]


        def matmul_backward(upstream, a, b):
            rows, ups = a.reshape(-1, a.shape[-1]), upstream.reshape(-1, upstream.shape[-1])
            return np.einsum("...mn,kn->...mk", upstream, b), rows.T @ ups
    """,
    "copy by copy": """
        def collect(g, shape):
            numbers = np.broadcast_to(np.arange(np.prod(shape, dtype=int)).reshape(shape), g.shape)
            gradient = np.zeros(np.prod(shape, dtype=int))
            np.add.at(gradient, numbers, g)
            return gradient.reshape(shape)


        def add_backward(upstream, a, b):
            return collect(upstream, a.shape), collect(upstream, b.shape)


        def mul_backward(upstream, a, b):
            return collect(upstream * b, a.shape), collect(upstream * a, b.shape)


        def matmul_backward(upstream, a, b):
            for_a, for_b = np.zeros(a.shape), np.zeros(b.shape)
            for place in np.ndindex(a.shape[:-2]):
                for_a[place] = upstream[place] @ b.T
                for_b += a[place].T @ upstream[place]
            return for_a, for_b
    """,
    "torch derives it": """
        import torch


        def derive(operation, upstream, a, b):
            a, b = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (a, b))
            (operation(a, b) * torch.tensor(upstream, dtype=torch.float64)).sum().backward()
            return a.grad.numpy(), b.grad.numpy()


        def add_backward(upstream, a, b):
            return derive(torch.add, upstream, a, b)


        def mul_backward(upstream, a, b):
            return derive(torch.mul, upstream, a, b)


        def matmul_backward(upstream, a, b):
            return derive(torch.matmul, upstream, a, b)
    """,
}

_ORDER = """
def topological_order(graph, last):
    order, done, stack = [], set(), [(last, False)]
    while stack:
        name, ready = stack.pop()
        if ready:
            order.append(name)
        elif name not in done:
            done.add(name)
            stack.append((name, True))
            stack += [(parent, False) for parent in graph.get(name, ("", []))[1]]
    return order
"""


def _graph(order: str = _ORDER, **parts: str) -> str:
    """Order and backpropagation of q09, with one part changed."""
    slopes = parts.get("slopes", '{"+": [1, 1], "*": u[::-1], "tanh": [1 - values[name] ** 2]}')
    backwards = parts.get("backwards", "reversed(order)")
    add = parts.get("add", "gradients[parent] += gradients[name] * slope")
    pairs = parts.get("pairs", "zip(parents, slopes[operation])")
    return f"""
{order}

def backpropagate(graph, inputs, last):
    order = {parts.get("along", "topological_order(graph, last)")}
    values = {{}}
    for name in order:
        if name in inputs:
            values[name] = inputs[name]
            continue
        operation, parents = graph[name]
        u = [values[parent] for parent in parents]
        if operation == "+":
            values[name] = u[0] + u[1]
        elif operation == "*":
            values[name] = u[0] * u[1]
        else:
            values[name] = np.tanh(u[0])
    gradients = dict.fromkeys(order, 0.0)
    gradients[last] = {parts.get("seed", "1.0")}
    for name in {backwards}:
        if name not in graph:
            continue
        operation, parents = graph[name]
        u = [values[parent] for parent in parents]
        slopes = {slopes}
        for parent, slope in {pairs}:
            {add}
    return {{"values": values, "gradients": gradients}}
"""


_RECURSIVE = """
def topological_order(graph, last):
    order = []

    def visit(name):
        if name not in order:
            for parent in graph.get(name, ("", []))[1]:
                visit(parent)
            order.append(name)

    visit(last)
    return order
"""
_BREADTH = """
def topological_order(graph, last):
    order, queue = [], [last]
    while queue:
        name = queue.pop(0)
        if name not in order:
            order.insert(0, name)
            queue += graph.get(name, ("", []))[1]
    return order
"""
MUTANTS["q09-graph"] = {
    "overwrites": _graph(add="gradients[parent] = gradients[name] * slope"),
    "same parent once": _graph(pairs="dict(zip(parents, slopes[operation])).items()"),
    "own factor": _graph(
        slopes='{"+": [1, 1], "*": u, "tanh": [1 - values[name] ** 2]}',
    ),
    "slope of tanh from its input": _graph(
        slopes='{"+": [1, 1], "*": u[::-1], "tanh": [1 - u[0] ** 2]}',
    ),
    "slope of tanh not squared": _graph(
        slopes='{"+": [1, 1], "*": u[::-1], "tanh": [1 - values[name]]}',
    ),
    "gradient of the sum shared out": _graph(
        slopes='{"+": [0.5, 0.5], "*": u[::-1], "tanh": [1 - values[name] ** 2]}',
    ),
    "starts with the value": _graph(seed="values[last]"),
    "starts with 0": _graph(seed="0.0"),
    "slopes added, not multiplied": _graph(add="gradients[parent] += gradients[name] + slope"),
    "slopes without what arrives": _graph(add="gradients[parent] += slope"),
    "forwards": _graph(backwards="order"),
    "order of the dictionary": _graph(
        """
def topological_order(graph, last):
    order = []
    for name, (_, parents) in graph.items():
        order += [parent for parent in parents if parent not in order]
        if name not in order:
            order.append(name)
    return order
"""
    ),
    "all of the graph": _graph(
        _ORDER
        + """

one_node = topological_order


def topological_order(graph, last):
    order = []
    for name in [*graph, last]:
        order = [other for other in order if other != last]
        order += [other for other in one_node(graph, name) if other not in order]
    return order
"""
    ),
    "a name for each use": _graph(
        """
def topological_order(graph, last):
    order, stack = [], [last]
    while stack:
        name = stack.pop()
        order.insert(0, name)
        if len(order) < 10_000:
            stack += graph.get(name, ("", []))[1]
    return order
"""
    ),
    "nearest first": _graph(_BREADTH),
    "inputs left out": _graph(
        _ORDER + "\n\nwith_inputs = topological_order\n\n\n"
        "def topological_order(graph, last):\n"
        "    return [name for name in with_inputs(graph, last) if name in graph]\n",
        along="with_inputs(graph, last)",
    ),
    "calls itself": _graph(_RECURSIVE),
    "passed on before complete": _ORDER
    + """

def backpropagate(graph, inputs, last):
    order = topological_order(graph, last)
    values = {}
    for name in order:
        operation, parents = graph.get(name, ("input", []))
        u = [values[parent] for parent in parents]
        values[name] = {
            "input": lambda: inputs[name],
            "+": lambda: u[0] + u[1],
            "*": lambda: u[0] * u[1],
            "tanh": lambda: np.tanh(u[0]),
        }[operation]()
    gradients = dict.fromkeys(order, 0.0)
    gradients[last] = 1.0
    seen, queue = set(), [last]
    while queue:
        name = queue.pop()
        if name in seen or name not in graph:
            continue
        seen.add(name)
        operation, parents = graph[name]
        u = [values[parent] for parent in parents]
        slopes = {"+": [1, 1], "*": u[::-1], "tanh": [1 - values[name] ** 2]}[operation]
        for parent, slope in zip(parents, slopes):
            gradients[parent] += gradients[name] * slope
            queue.append(parent)
    return {"values": values, "gradients": gradients}
""",
}
ALTERNATIVES["q09-graph"] = {
    "generators on a stack": _graph(
        """
def topological_order(graph, last):
    order, seen = {}, {last}
    stack = [(last, iter(graph.get(last, ("", ()))[1]))]
    while stack:
        name, parents = stack[-1]
        for parent in parents:
            if parent not in seen:
                seen.add(parent)
                stack.append((parent, iter(graph.get(parent, ("", ()))[1])))
                break
        else:
            order[name] = None
            stack.pop()
    return tuple(order)
"""
    ),
    "by counting uses": """
        def topological_order(graph, last):
            needed, queue = [last], [last]
            known = {last}
            while queue:
                for parent in graph.get(queue.pop(), ("", []))[1]:
                    if parent not in known:
                        known.add(parent)
                        needed.append(parent)
                        queue.append(parent)
            uses = dict.fromkeys(needed, 0)
            for name in needed:
                for parent in graph.get(name, ("", []))[1]:
                    uses[parent] += 1
            order, free = [], [last]
            while free:
                name = free.pop()
                order.append(name)
                for parent in graph.get(name, ("", []))[1]:
                    uses[parent] -= 1
                    if uses[parent] == 0:
                        free.append(parent)
            return order[::-1]


        def backpropagate(graph, inputs, last):
            order = topological_order(graph, last)
            values, arrived = {}, {name: [] for name in order}
            for name in order:
                if name not in graph:
                    values[name] = float(inputs[name])
                elif graph[name][0] == "tanh":
                    values[name] = float(np.tanh(values[graph[name][1][0]]))
                else:
                    u, v = (values[parent] for parent in graph[name][1])
                    values[name] = u + v if graph[name][0] == "+" else u * v
            arrived[last].append(1.0)
            gradients = {}
            for name in order[::-1]:
                gradients[name] = sum(arrived[name])
                if name in graph:
                    operation, parents = graph[name]
                    if operation == "tanh":
                        slopes = [1 / np.cosh(values[parents[0]]) ** 2]
                    elif operation == "+":
                        slopes = [1, 1]
                    else:
                        slopes = [values[parents[1]], values[parents[0]]]
                    for parent, slope in zip(parents, slopes):
                        arrived[parent].append(gradients[name] * slope)
            return {"values": values, "gradients": gradients}
    """,
    "a higher limit": """
        import sys


        def topological_order(graph, last):
            order, seen = [], set()

            def visit(name):
                if name not in seen:
                    seen.add(name)
                    for parent in graph.get(name, ("", []))[1]:
                        visit(parent)
                    order.append(name)

            limit = sys.getrecursionlimit()
            sys.setrecursionlimit(100_000)
            try:
                visit(last)
            finally:
                sys.setrecursionlimit(limit)
            return order
"""
    + "\n".join("        " + line if line else "" for line in _graph("").splitlines()),
}


def _embedding(body: str) -> str:
    return f"""
        def embedding_gradient(ids, upstream, vocabulary_size):
            gradient = np.zeros((len(upstream), vocabulary_size))
            {body}
            return gradient
    """


MUTANTS["q10-embedding-gradient"] = {
    "repeats counted once": _embedding(
        "gradient[:, ids.ravel()] += upstream.reshape(len(upstream), -1)"
    ),
    "overwrites": _embedding("gradient[:, ids] = upstream"),
    "overwrites in a loop": _embedding(
        "for place in np.ndindex(ids.shape): gradient[:, ids[place]] = upstream[:, *place]"
    ),
    "first wins": _embedding(
        "for place in reversed(list(np.ndindex(ids.shape))): "
        "gradient[:, ids[place]] = upstream[:, *place]"
    ),
    "only the first word": _embedding(
        "for b in range(ids.shape[1]): gradient[:, ids[0, b]] += upstream[:, 0, b]"
    ),
    "places the wrong way round": _embedding(
        "for word, g in zip(ids.T.ravel(), upstream.reshape(len(upstream), -1).T): "
        "gradient[:, word] += g"
    ),
    "mean of what arrives": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            gradient = np.zeros((vocabulary_size, len(upstream)))
            np.add.at(gradient, ids, np.moveaxis(upstream, 0, -1))
            counts = np.bincount(ids.ravel(), minlength=vocabulary_size)
            return (gradient / np.maximum(counts, 1)[:, None]).T
    """,
    "divided by the batch": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            gradient = np.zeros((vocabulary_size, len(upstream)))
            np.add.at(gradient, ids, np.moveaxis(upstream, 0, -1))
            return gradient.T / max(ids.shape[1], 1)
    """,
    "one word a row": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            gradient = np.zeros((vocabulary_size, len(upstream)))
            np.add.at(gradient, ids, np.moveaxis(upstream, 0, -1))
            return gradient
    """,
    "only words that were seen": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            words, places = np.unique(ids, return_inverse=True)
            gradient = np.zeros((len(upstream), len(words)))
            np.add.at(gradient.T, places.ravel(), upstream.reshape(len(upstream), -1).T)
            return gradient
    """,
    "as many columns as the largest id": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            gradient = np.zeros((len(upstream), ids.max() + 1))
            np.add.at(gradient.T, ids, np.moveaxis(upstream, 0, -1))
            return gradient
    """,
    "whole numbers arrive in whole numbers": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            gradient = np.zeros((len(upstream), vocabulary_size), dtype=int)
            for place in np.ndindex(ids.shape):
                gradient[:, ids[place]] += upstream[:, *place].astype(int)
            return gradient
    """,
}
ALTERNATIVES["q10-embedding-gradient"] = {
    "place by place": _embedding(
        "for place in np.ndindex(ids.shape): gradient[:, ids[place]] += upstream[:, *place]"
    ),
    "one hot": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            chosen = np.eye(vocabulary_size)[ids]
            return np.einsum("dnb,nbv->dv", upstream, chosen)
    """,
    "bincount": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            places = ids.ravel()
            rows = [np.bincount(places, g.ravel(), vocabulary_size) for g in upstream]
            return np.array(rows)
    """,
    "word by word": """
        def embedding_gradient(ids, upstream, vocabulary_size):
            V = vocabulary_size
            columns = [(upstream * (ids == word)).sum(axis=(1, 2)) for word in range(V)]
            return np.stack(columns, axis=1)
    """,
    "torch": """
        import torch


        def embedding_gradient(ids, upstream, vocabulary_size):
            flat = torch.tensor(upstream, dtype=torch.float64).reshape(len(upstream), -1)
            places = torch.tensor(ids.ravel()).long()
            gradient = torch.zeros(len(upstream), vocabulary_size, dtype=torch.float64)
            return gradient.index_add_(1, places, flat).numpy()
    """,
}


def _bengio(**parts: str) -> str:
    """A step of Bengio's model, with one part changed."""
    x = parts.get("x", "E[:, contexts].transpose(1, 0, 2).reshape(-1, B)")
    scores = parts.get("scores", "U @ hidden + c[:, None]")
    log_p = parts.get("log_p", "scores - np.logaddexp.reduce(scores, axis=0)")
    error = parts.get("error", "(np.exp(log_p) - observed) / B")
    slope = parts.get("slope", "1 - hidden**2")
    scatter = parts.get("scatter", "np.add.at(for_E.T, contexts, below.transpose(0, 2, 1))")
    return f"""
def bengio_step(parameters, contexts, targets):
    E, W, b, U, c = (parameters[name] for name in ("E", "W", "b", "U", "c"))
    n, B = contexts.shape
    x = {x}
    sums = {parts.get("sums", "W @ x + b[:, None]")}
    hidden = np.tanh(sums)
    scores = {scores}
    log_p = {log_p}
    observed = np.eye(len(c))[:, targets]
    error = {error}
    at_sums = (U.T @ error) * ({slope})
    below = {parts.get("below", "(W.T @ at_sums).reshape(n, -1, B)")}
    for_E = np.zeros(E.shape)
    {scatter}
    return {{
        "loss": {parts.get("loss", "-log_p[targets, np.arange(B)].mean()")},
        "gradients": {{
            "E": for_E,
            "W": {parts.get("W", "at_sums @ x.T")},
            "b": {parts.get("b", "at_sums.sum(axis=1)")},
            "U": {parts.get("U", "error @ hidden.T")},
            "c": {parts.get("c", "error.sum(axis=1)")},
        }},
    }}
"""


MUTANTS["q11-bengio-step"] = {
    "words mixed in the stack": _bengio(
        x="E[:, contexts].reshape(-1, B)",
        scatter="np.add.at(for_E.T, contexts, below.reshape(-1, n, B).transpose(1, 2, 0))",
    ),
    "latest word first": _bengio(
        x="E[:, contexts[::-1]].transpose(1, 0, 2).reshape(-1, B)",
        scatter="np.add.at(for_E.T, contexts[::-1], below.transpose(0, 2, 1))",
    ),
    "words mixed on the way back": _bengio(
        scatter="np.add.at(for_E.T, contexts, (W.T @ at_sums).reshape(-1, n, B).transpose(1, 2, 0))"
    ),
    "repeated words counted once": _bengio(
        scatter="for_E[:, contexts] += below.transpose(1, 0, 2)"
    ),
    "last place overwrites": _bengio(
        scatter="for i in range(n): for_E[:, contexts[i]] += below[i]"
    ),
    "gradient of the sum": _bengio(error="np.exp(log_p) - observed"),
    "loss summed": _bengio(loss="-log_p[targets, np.arange(B)].sum()"),
    "sign of ascent": _bengio(error="(observed - np.exp(log_p)) / B"),
    "slope of tanh forgotten": _bengio(slope="1"),
    "slope of a sigmoid": _bengio(slope="hidden * (1 - hidden)"),
    "slope not squared": _bengio(slope="1 - hidden"),
    "slope from the sums": _bengio(slope="1 - sums**2"),
    "hidden bias forgotten": _bengio(sums="W @ x"),
    "output bias forgotten": _bengio(scores="U @ hidden"),
    "mean of the biases": _bengio(b="at_sums.mean(axis=1)", c="error.mean(axis=1)"),
    "U from the sums": _bengio(U="error @ sums.T"),
    "transposed": _bengio(W="x @ at_sums.T", U="hidden @ error.T"),
    "logarithm of a rounded probability": _bengio(
        log_p="np.log(np.exp(scores - scores.max(axis=0)) / "
        "np.exp(scores - scores.max(axis=0)).sum(axis=0))"
    ),
    "nothing subtracted": _bengio(log_p="scores - np.log(np.exp(scores).sum(axis=0))"),
    "softmax along the batch": _bengio(
        log_p="scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)"
    ),
    "embeddings not trained": _bengio(scatter="pass"),
    "changes the embeddings": _bengio(
        scatter="np.add.at(for_E.T, contexts, below.transpose(0, 2, 1)); E -= 0.1 * for_E"
    ),
}
ALTERNATIVES["q11-bengio-step"] = {
    "example by example": """
        def bengio_step(parameters, contexts, targets):
            E, W, b, U, c = (parameters[name] for name in ("E", "W", "b", "U", "c"))
            d, (n, B) = len(E), contexts.shape
            gradients = {name: np.zeros(array.shape) for name, array in parameters.items()}
            loss = 0.0
            for context, target in zip(contexts.T, targets):
                x = np.concatenate([E[:, word] for word in context])
                hidden = np.tanh(W @ x + b)
                scores = U @ hidden + c
                log_z = scores.max() + np.log(np.exp(scores - scores.max()).sum())
                loss += (log_z - scores[target]) / B
                error = np.exp(scores - log_z) / B
                error[target] -= 1 / B
                delta = (error @ U) * (1 - hidden * hidden)
                gradients["c"] += error
                gradients["U"] += np.outer(error, hidden)
                gradients["b"] += delta
                gradients["W"] += np.outer(delta, x)
                below = delta @ W
                for i, word in enumerate(context):
                    gradients["E"][:, word] += below[i * d : (i + 1) * d]
            return {"loss": loss, "gradients": gradients}
    """,
    "one hot and einsum": """
        def bengio_step(parameters, contexts, targets):
            E, W, b, U, c = (parameters[name] for name in ("E", "W", "b", "U", "c"))
            (d, V), (n, B) = E.shape, contexts.shape
            chosen = np.eye(V)[contexts]  # (n, B, V)
            x = np.einsum("dv,nbv->ndb", E, chosen)
            W = W.reshape(-1, n, d)
            hidden = np.tanh(np.einsum("hnd,ndb->hb", W, x) + b[:, None])
            scores = U @ hidden + c[:, None]
            log_p = scores - np.logaddexp.reduce(scores, axis=0)
            observed = np.eye(V)[targets].T
            error = (np.exp(log_p) - observed) / B
            delta = (U.T @ error) * (1 - hidden**2)
            return {
                "loss": float(-(log_p * observed).sum() / B),
                "gradients": {
                    "E": np.einsum("hb,hnd,nbv->dv", delta, W, chosen),
                    "W": np.einsum("hb,ndb->hnd", delta, x).reshape(len(b), n * d),
                    "b": delta.sum(axis=1),
                    "U": np.einsum("vb,hb->vh", error, hidden),
                    "c": error.sum(axis=1),
                },
            }
    """,
    "torch derives it": """
        import torch


        def bengio_step(parameters, contexts, targets):
            names = list(parameters)
            leaves = {
                name: torch.tensor(parameters[name], dtype=torch.float64, requires_grad=True)
                for name in names
            }
            words = torch.tensor(contexts.T).long()
            x = leaves["E"].T[words].flatten(1)  # (B, n·d)
            hidden = torch.tanh(x @ leaves["W"].T + leaves["b"])
            scores = hidden @ leaves["U"].T + leaves["c"]
            loss = torch.nn.functional.cross_entropy(scores, torch.tensor(targets).long())
            loss.backward()
            gradients = {name: leaves[name].grad.numpy() for name in names}
            return {"loss": loss.item(), "gradients": gradients}
    """,
}


def _counts(**parts: str) -> str:
    table = parts.get("table", "V ** (n + 1)")
    network = parts.get("network", "V * d + h * n * d + h + V * h + V")
    direct = parts.get("direct", "network + V * n * d")
    return f"""
        def parameter_counts(n, V, h, d):
            network = {network}
            return {{"table": {table}, "network": network, "direct": {direct}}}
    """


MUTANTS["q12-parameter-counts"] = {
    "contexts only": _counts(table="V**n"),
    "free numbers only": _counts(table="(V - 1) * V**n"),
    "all shorter contexts, too": _counts(table="sum(V ** (i + 1) for i in range(n + 1))"),
    "table in floats": _counts(table="float(V) ** (n + 1)"),
    "table in NumPy's numbers": _counts(table="np.prod(np.full(n + 1, V))"),
    "no biases": _counts(network="V * d + h * n * d + V * h"),
    "no hidden bias": _counts(network="V * d + h * n * d + V * h + V"),
    "no output bias": _counts(network="V * d + h * n * d + h + V * h"),
    "embeddings for each place": _counts(network="n * V * d + h * n * d + h + V * h + V"),
    "hidden layer sees one word": _counts(network="V * d + h * d + h + V * h + V"),
    "direct from one word": _counts(direct="network + V * d"),
    "direct alone": _counts(direct="V * n * d"),
    "direct in place of the hidden layer": _counts(direct="V * d + V * n * d + V"),
    "arguments in the book's order": """
        def parameter_counts(V, n, d, h):
            network = V * d + h * (1 + n * d) + V * (1 + h)
            return {"table": V ** (n + 1), "network": network, "direct": network + V * n * d}
    """,
}
ALTERNATIVES["q12-parameter-counts"] = {
    "by shapes": """
        import math


        def parameter_counts(n, V, h, d):
            shapes = [(V, d), (h, n * d), (h,), (V, h), (V,)]
            network = sum(math.prod(shape) for shape in shapes)
            direct = sum(math.prod(shape) for shape in [*shapes, (V, n * d)])
            return {"table": math.prod([V] * (n + 1)), "network": network, "direct": direct}
    """,
    "word by word": """
        def parameter_counts(n, V, h, d):
            table = V
            for _ in range(n):
                table *= V
            for_each_word = d + h + 1
            for_each_unit = n * d + 1
            network = V * for_each_word + h * for_each_unit
            return dict(table=table, network=network, direct=network + n * d * V)
    """,
}


def _train(**parts: str) -> str:
    """Training of q13, with one part changed."""
    add = parts.get("add", 'step["loss"] * len(ids)')
    update = parts.get("update", 'array - learning_rate * step["gradients"][name]')
    stops = parts.get("stops", "range(0, len(order), batch_size)")
    return f"""
def train(parameters, loss_and_gradients, inputs, targets, orders, batch_size, learning_rate):
    losses = []
    for order in {parts.get("orders", "orders")}:
        total, batches = 0.0, 0
        for start in {stops}:
            ids = {parts.get("ids", "order[start : start + batch_size]")}
            x, y = {parts.get("x", "inputs[..., ids]")}, {parts.get("y", "targets[..., ids]")}
            step = loss_and_gradients(parameters, x, y)
            total += {add}
            batches += 1
            parameters = {{name: {update} for name, array in parameters.items()}}
        losses.append({parts.get("mean", "total / len(order)")})
    return {{"parameters": parameters, "losses": {parts.get("losses", "losses")}}}
"""


MUTANTS["q13-training"] = {
    "mean of the batches' means": _train(add='step["loss"]', mean="total / batches"),
    "sum of the batches": _train(add='step["loss"]', mean="total"),
    "last batch's loss": _train(mean='step["loss"]'),
    "last batch dropped": _train(stops="range(0, len(order) - batch_size + 1, batch_size)"),
    "uphill": _train(update='array + learning_rate * step["gradients"][name]'),
    "divided by the batch again": _train(
        update='array - learning_rate * step["gradients"][name] / len(ids)'
    ),
    "order ignored": _train(ids="np.arange(len(order))[start : start + batch_size]"),
    "first order in each epoch": _train(orders="[orders[0]] * len(orders)"),
    "first epoch only": _train(orders="orders[:1]"),
    "a step after each example": _train(stops="range(len(order))", ids="order[start : start + 1]"),
    "inputs in their old order": _train(x="inputs[..., start : start + batch_size]"),
    "examples as rows": _train(x="inputs[ids]"),
    "no step": _train(update="array"),
    "one step an epoch": """
def train(parameters, loss_and_gradients, inputs, targets, orders, batch_size, learning_rate):
    losses = []
    for order in orders:
        step = loss_and_gradients(parameters, inputs[..., order], targets[..., order])
        losses.append(step["loss"])
        parameters = {
            name: array - learning_rate * step["gradients"][name]
            for name, array in parameters.items()
        }
    return {"parameters": parameters, "losses": losses}
""",
    "loss after the step": """
def train(parameters, loss_and_gradients, inputs, targets, orders, batch_size, learning_rate):
    losses = []
    for order in orders:
        total = 0.0
        for start in range(0, len(order), batch_size):
            ids = order[start : start + batch_size]
            batch = inputs[..., ids], targets[..., ids]
            gradients = loss_and_gradients(parameters, *batch)["gradients"]
            parameters = {
                name: array - learning_rate * gradients[name] for name, array in parameters.items()
            }
            total += loss_and_gradients(parameters, *batch)["loss"] * len(ids)
        losses.append(total / len(order))
    return {"parameters": parameters, "losses": losses}
""",
    "changes the start": """
def train(parameters, loss_and_gradients, inputs, targets, orders, batch_size, learning_rate):
    losses = []
    for order in orders:
        total = 0.0
        for start in range(0, len(order), batch_size):
            ids = order[start : start + batch_size]
            step = loss_and_gradients(parameters, inputs[..., ids], targets[..., ids])
            total += step["loss"] * len(ids)
            for name in parameters:
                parameters[name] -= learning_rate * step["gradients"][name]
        losses.append(total / len(order))
    return {"parameters": parameters, "losses": losses}
""",
    "one parameter after the other": """
def train(parameters, loss_and_gradients, inputs, targets, orders, batch_size, learning_rate):
    parameters, losses = dict(parameters), []
    for order in orders:
        total = 0.0
        for start in range(0, len(order), batch_size):
            ids = order[start : start + batch_size]
            for name in list(parameters):
                step = loss_and_gradients(parameters, inputs[..., ids], targets[..., ids])
                gradient = step["gradients"][name]
                parameters[name] = parameters[name] - learning_rate * gradient
            total += step["loss"] * len(ids)
        losses.append(total / len(order))
    return {"parameters": parameters, "losses": losses}
""",
}
ALTERNATIVES["q13-training"] = {
    "copies changed in place": """
def train(parameters, loss_and_gradients, inputs, targets, orders, batch_size, learning_rate):
    parameters = {name: np.array(array, dtype=float) for name, array in parameters.items()}
    losses = []
    for order in orders:
        each = []
        for ids in np.split(order, range(batch_size, len(order), batch_size)):
            batch = np.take(inputs, ids, axis=-1), np.take(targets, ids, axis=-1)
            step = loss_and_gradients(parameters, *batch)
            each += [float(step["loss"])] * len(ids)
            for name, gradient in step["gradients"].items():
                parameters[name] -= learning_rate * gradient
        losses.append(np.mean(each))
    return {"parameters": parameters, "losses": losses}
""",
    "weighted mean": """
def train(parameters, loss_and_gradients, inputs, targets, orders, batch_size, learning_rate):
    N = inputs.shape[-1]
    parameters, losses = parameters.copy(), np.zeros(len(orders))
    for epoch in range(len(orders)):
        found, sizes = [], []
        mixed_x, mixed_y = inputs[..., orders[epoch]], targets[..., orders[epoch]]
        for start in range(0, N, batch_size):
            stop = min(start + batch_size, N)
            step = loss_and_gradients(
                parameters, mixed_x[..., start:stop], mixed_y[..., start:stop]
            )
            found.append(step["loss"])
            sizes.append(stop - start)
            for name in parameters:
                parameters[name] = parameters[name] - learning_rate * step["gradients"][name]
        losses[epoch] = np.average(found, weights=sizes)
    return {"parameters": parameters, "losses": list(losses)}
""",
    "float32": """
def train(parameters, loss_and_gradients, inputs, targets, orders, batch_size, learning_rate):
    parameters = {name: np.float32(array) for name, array in parameters.items()}
    losses = []
    for order in orders:
        total = 0.0
        for start in range(0, len(order), batch_size):
            ids = order[start : start + batch_size]
            step = loss_and_gradients(parameters, inputs[..., ids], targets[..., ids])
            total += len(ids) / len(order) * step["loss"]
            parameters = {
                name: array - np.float32(learning_rate) * np.float32(step["gradients"][name])
                for name, array in parameters.items()
            }
        losses.append(total)
    return {"parameters": parameters, "losses": losses}
""",
}
