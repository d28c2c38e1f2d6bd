"""Laws fitted to the losses of models that were trained: see `nlp_course.scaling`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Real
from scipy import optimize

from nlp_course.scaling_laws import ChinchillaLaw, KaplanLaw, LossLaw

EXPONENTS = (0.1, 0.2, 0.4, 0.8, 1.6)  # among which fits of two of them begin
STARTS = 8  # pairs of these to begin from: those that need not move far


def fit_power_law(
    x: Real[np.ndarray, "point"], loss: Real[np.ndarray, "_"], *, floor: bool = False
) -> LossLaw:
    """The power law through some losses, with the least squared relative error.

    Without a floor, the straight line through (log x, log L). With one, for each α the best
    (x_c^α, L_∞), neither of them negative, and the best α.

    Parameters
    ----------
    x : N, D or C
    loss : L
    floor : whether there is an L_∞ to be found, too

    Raises
    ------
    ValueError : x and loss differ in number, a value that is not positive, or fewer different x
        than the law has numbers.

    Examples
    --------
    >>> x = np.array([1e3, 1e4, 1e5, 1e6])
    >>> law = fit_power_law(x, (1e13 / x) ** 0.08)
    >>> f"{law.scale:.2e} {law.exponent:.3f} {law.floor:.1f}"
    '1.00e+13 0.080 0.0'
    >>> law = fit_power_law(x, (50 / x) ** 0.3 + 1.5, floor=True)
    >>> f"{law.scale:.1f} {law.exponent:.3f} {law.floor:.3f}"
    '50.0 0.300 1.500'
    """
    x, loss = _checked(3 if floor else 2, x=x, loss=loss)
    if not floor:
        slope, height = np.polyfit(np.log(x), np.log(loss), 1)
        return LossLaw(float(np.exp(-height / slope)), float(-slope))
    low = float(x.min())  # x/low lies near 1, where the columns are of similar size

    def columns(exponent: float) -> Float[np.ndarray, "point 2"]:
        return np.stack([(x / low) ** -exponent, np.ones_like(x)], axis=1) / loss[:, None]

    def error(exponent: float) -> float:
        return float(optimize.nnls(columns(exponent), np.ones_like(x))[1])

    tried = np.geomspace(0.005, 5, 61)
    best = int(np.argmin([error(exponent) for exponent in tried]))
    bounds = tried[max(0, best - 1)], tried[min(len(tried) - 1, best + 1)]
    exponent = float(
        optimize.minimize_scalar(error, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x
    )
    (height, lowest), _ = optimize.nnls(columns(exponent), np.ones_like(x))
    return LossLaw(float(low * height ** (1 / exponent)), exponent, float(lowest))


def fit_chinchilla(
    parameters: Real[np.ndarray, "run"],
    tokens: Real[np.ndarray, "_"],
    loss: Real[np.ndarray, "_"],
    *,
    delta: float = 1e-3,
) -> ChinchillaLaw:
    """Fit E, A, B, α and β to the losses of some models.

    min Σ_i Huber_δ(log L̂(N_i, D_i) − log L_i)

    by L-BFGS, from the eight best of a grid of α and β, each with the E, A and B that fit them best
    by least squares. The Huber loss is r²/2 up to |r| = δ and grows as |r| beyond, so that a run
    gone wrong pulls little.

    Parameters
    ----------
    parameters, tokens : N and D of each run
    loss : its L
    delta : δ, of a logarithm: 0.001 is a tenth of a per cent of the loss

    Raises
    ------
    ValueError : numbers of N, D and L differ, a value is not positive, there are fewer than five
        runs, or fewer than three different N or D: a power with a floor goes through any two.

    Notes
    -----
    The sum is taken in units of δ². As it stands it is so small that an optimizer may believe to
    have arrived wherever it is; Besiroglu et al. 2024 say that the published fit suffers from that.

    References
    ----------
    Hoffmann et al. 2022, Training Compute-Optimal Large Language Models, section 3.3.

    Examples
    --------
    >>> from nlp_course.scaling_laws import BESIROGLU
    >>> n, d = (axis.ravel() for axis in np.meshgrid([1e6, 1e7, 1e8], [1e8, 1e9, 1e10]))
    >>> law = fit_chinchilla(n, d, BESIROGLU.predict(n, d))
    >>> [round(number, 3) for number in law]
    [1.817, 482.01, 2085.43, 0.348, 0.366]
    """
    runs = _Runs(parameters, tokens, loss)
    return runs.chinchilla(runs.fit("chinchilla", delta))


def fit_kaplan(
    parameters: Real[np.ndarray, "run"],
    tokens: Real[np.ndarray, "_"],
    loss: Real[np.ndarray, "_"],
    *,
    delta: float = 1e-3,
) -> KaplanLaw:
    """Fit N_c, D_c, α_N and α_D to the losses of some models, as `fit_chinchilla` does.

    Raises
    ------
    ValueError : as for `fit_chinchilla`.

    References
    ----------
    Kaplan et al. 2020, eq. 1.5, for the law; they fit it to models trained until they overfit.

    Examples
    --------
    >>> from nlp_course.scaling_laws import KAPLAN
    >>> n, d = (axis.ravel() for axis in np.meshgrid([1e6, 1e7, 1e8], [1e8, 1e9, 1e10]))
    >>> law = fit_kaplan(n, d, KAPLAN.predict(n, d))
    >>> f"{law.parameters_scale:.1e} {law.tokens_scale:.1e} {law.alpha_N:.3f} {law.alpha_D:.3f}"
    '6.4e+13 1.8e+13 0.076 0.103'
    """
    runs = _Runs(parameters, tokens, loss)
    return runs.kaplan(runs.fit("kaplan", delta))


def bootstrap(
    parameters: Real[np.ndarray, "run"],
    tokens: Real[np.ndarray, "_"],
    loss: Real[np.ndarray, "_"],
    *,
    form: Literal["chinchilla", "kaplan"] = "chinchilla",
    times: int = 200,
    delta: float = 1e-3,
    seed: int = 0,
) -> list[ChinchillaLaw] | list[KaplanLaw]:
    """Laws fitted to runs drawn with replacement, as many as there are: how sure a fit is.

    Drawings with fewer than three different N or D are drawn again. See `interval`.

    Parameters
    ----------
    parameters, tokens, loss, delta : as for `fit_chinchilla`
    form : of the law
    times : how often they are drawn
    seed : of the drawing

    Raises
    ------
    ValueError : as for `fit_chinchilla`, or times below 1.
    """
    if times < 1:
        raise ValueError(f"times must be at least 1, got {times}")
    runs = _Runs(parameters, tokens, loss)
    whole = runs.fit(form, delta)
    rng = np.random.default_rng(seed)
    found: list[Theta] = []
    while len(found) < times:
        drawn = rng.integers(len(loss), size=len(loss))
        if min(len(np.unique(column[drawn])) for column in (runs.n, runs.d)) >= 3:
            # From the whole's own law, and from the best of the grid: more would take minutes.
            found.append(runs.fit(form, delta, drawn, whole))
    return list(map(getattr(runs, form), found))


def interval(
    values: Sequence[float] | Real[np.ndarray, "value"], level: float = 0.9
) -> tuple[float, float]:
    """Between which two numbers the middle ones of some values lie: 90 % of them, by default.

    Raises
    ------
    ValueError : no values, or a level outside (0, 1).

    Examples
    --------
    >>> interval(np.arange(101), level=0.5)
    (25.0, 75.0)
    """
    if not len(values) or not 0 < level < 1:
        raise ValueError(f"give values and a level between 0 and 1, got {len(values)} and {level}")
    low, high = np.quantile(
        np.asarray(values, dtype=np.float64), [(1 - level) / 2, (1 + level) / 2]
    )
    return float(low), float(high)


Theta: TypeAlias = Float[np.ndarray, "number"]  # what the optimizer moves

# log L̂ of each run, and its derivative by each number of theta.
_Predict: TypeAlias = Callable[
    [Theta], tuple[Float[np.ndarray, "run"], Float[np.ndarray, "number run"]]
]


class _Runs:
    """Runs in units of their mean logarithms: exponents then move without the factors."""

    def __init__(
        self,
        parameters: Real[np.ndarray, "run"],
        tokens: Real[np.ndarray, "_"],
        loss: Real[np.ndarray, "_"],
    ) -> None:
        self.n, self.d, self.loss = _checked(3, parameters=parameters, tokens=tokens, loss=loss)
        if len(self.loss) < 5:
            raise ValueError(f"up to five numbers are fitted to at least 5 runs, got {len(loss)}")
        self.mid_n, self.mid_d = np.exp(np.log(self.n).mean()), np.exp(np.log(self.d).mean())

    def chinchilla(self, theta: Theta) -> ChinchillaLaw:
        """The law of log E, log A, log B, α and β, in the units that were given."""
        e, a, b = np.exp(theta[:3])
        alpha, beta = theta[3:]
        numbers = e, a * self.mid_n**alpha, b * self.mid_d**beta, alpha, beta
        return ChinchillaLaw(*map(float, numbers))

    def kaplan(self, theta: Theta) -> KaplanLaw:
        """The law of log A, log B, r and γ in (A/N^r + B/D)^γ, in the units that were given."""
        a, b, ratio, gamma = theta
        numbers = self.mid_n * np.exp(a / ratio), self.mid_d * np.exp(b), ratio * gamma, gamma
        return KaplanLaw(*map(float, numbers))

    def fit(
        self,
        form: Literal["chinchilla", "kaplan"],
        delta: float,
        drawn: slice | Real[np.ndarray, "_"] = slice(None),
        near: Theta | None = None,
    ) -> Theta:
        """The best law of some of the runs; `near` one that is known, or from the grid alone."""
        if not delta > 0:
            raise ValueError(f"delta must be above 0, got {delta}")
        n, d, loss = self.n[drawn] / self.mid_n, self.d[drawn] / self.mid_d, self.loss[drawn]
        make, begin = (
            (_chinchilla, _chinchilla_start) if form == "chinchilla" else (_kaplan, _kaplan_start)
        )
        predict = make(np.log(n), np.log(d))
        log_loss = np.log(loss)

        def objective(theta: Theta) -> tuple[float, Theta]:
            log_predicted, slopes = predict(theta)
            z = (log_predicted - log_loss) / delta
            huber = np.where(abs(z) <= 1, z**2 / 2, abs(z) - 0.5)
            return float(huber.sum()), slopes @ np.clip(z, -1, 1) / delta

        grid = [begin(n, d, loss, *pair) for pair in product(EXPONENTS, EXPONENTS)]
        starts = sorted(grid, key=lambda theta: objective(theta)[0])
        starts = starts[:STARTS] if near is None else [near, starts[0]]
        options = {"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-8}
        found = [
            optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
            for start in starts
        ]
        best: Theta = min(found, key=lambda result: result.fun).x
        return best


def _chinchilla(log_n: Float[np.ndarray, "run"], log_d: Float[np.ndarray, "run"]) -> _Predict:
    def predict(theta: Theta) -> tuple[Float[np.ndarray, "run"], Float[np.ndarray, "5 run"]]:
        e, a, b, alpha, beta = theta
        logs = np.stack([np.full_like(log_n, e), a - alpha * log_n, b - beta * log_d])  # (3, run)
        log_total = np.logaddexp.reduce(logs)
        of_e, of_n, of_d = np.exp(logs - log_total)
        return log_total, np.stack([of_e, of_n, of_d, -of_n * log_n, -of_d * log_d])

    return predict


def _kaplan(log_n: Float[np.ndarray, "run"], log_d: Float[np.ndarray, "run"]) -> _Predict:
    def predict(theta: Theta) -> tuple[Float[np.ndarray, "run"], Float[np.ndarray, "4 run"]]:
        a, b, ratio, gamma = theta
        logs = np.stack([a - ratio * log_n, b - log_d])  # (2, run)
        log_total = np.logaddexp.reduce(logs)
        of_n, of_d = gamma * np.exp(logs - log_total)
        return gamma * log_total, np.stack([of_n, of_d, -of_n * log_n, log_total])

    return predict


def _chinchilla_start(
    n: Float[np.ndarray, "run"],
    d: Float[np.ndarray, "run"],
    loss: Float[np.ndarray, "run"],
    alpha: float,
    beta: float,
) -> Theta:
    """With the E, A and B of the least squared relative error."""
    parts = np.stack([np.ones_like(n), n**-alpha, d**-beta], axis=1)
    return np.array([*_log_shares(parts, loss), alpha, beta])


def _kaplan_start(
    n: Float[np.ndarray, "run"],
    d: Float[np.ndarray, "run"],
    loss: Float[np.ndarray, "run"],
    ratio: float,
    gamma: float,
) -> Theta:
    """With the A and B of the least squared relative error of L^(1/γ), in which they are linear."""
    parts = np.stack([n**-ratio, 1 / d], axis=1)
    return np.array([*_log_shares(parts, loss ** (1 / gamma)), ratio, gamma])


def _log_shares(
    parts: Float[np.ndarray, "run part"], total: Float[np.ndarray, "run"]
) -> Float[np.ndarray, "part"]:
    shares, _ = optimize.nnls(parts / total[:, None], np.ones_like(total))
    return np.log(np.maximum(shares, 1e-3 * total.min()))  # there is no logarithm of 0


def _checked(different: int, **columns: Real[np.ndarray, "_"]) -> list[Float[np.ndarray, "_"]]:
    """The columns as numbers of double precision; all but the last have so many values or more."""
    numbers = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    if len({len(column) for column in numbers.values()}) > 1:
        found = ", ".join(f"{len(column)} of {name}" for name, column in numbers.items())
        raise ValueError(f"each run needs one of each, got {found}")
    for name, column in numbers.items():
        if not ((column > 0) & np.isfinite(column)).all():
            raise ValueError(f"{name} must be finite and above 0: a law is about logarithms")
    for name in list(numbers)[:-1]:
        if (distinct := len(np.unique(numbers[name]))) < different:
            raise ValueError(f"the law needs {different} different {name}, got {distinct}")
    return list(numbers.values())
