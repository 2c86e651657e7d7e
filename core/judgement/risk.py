"""`RIESGO_MAXIMO` to a threshold per kind of action, certified on the outcomes that the desk has recorded.

- *What counts*: labelled decisions that the critic had nothing against, judged by the same model, whose approval the
  calibration in force gives (made by it, or by one that puts candidates in the same order: then it is computed anew).
- *Order of time*: what a calibration was fitted and compared on does not certify it; what came later does. The shipped
  one has seen nothing of the desk. Platt's scaling of it cuts the same order of candidates, which no outcome chose, at
  other numbers: there the outcomes that it was fitted on count too.
- *Per kind* where a kind has `OWN` outcomes of its own; the other kinds share one threshold, from their own outcomes.
  Actions fall into these groups without overlap, so a share held in each is held over all; each holds with 95 %.
- *A fit of every weight* orders candidates anew: what it would do is not what was done, so the outcomes of before
  certify nothing for it. With `RIESGO_MAXIMO` the refit is therefore Platt's.
- *Selection*: outcomes exist only above the threshold that was in force, so nothing below can be certified. To find out
  whether a lower one would do, act by proposals (`politica.toml`) with a lower `CRITIC_APPROVAL_THRESHOLD` for a while.
- *Nothing certified*: `CRITIC_APPROVAL_THRESHOLD`, or the strictest threshold that a greater risk would ask for where
  that is higher. Less allowed risk can thus never mean more actions.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.catalogue import CatalogueEntry, Resolution
from core.judgement.bound import CONFIDENCE, Certified, Trial, certify, least_risk, trials_of, upper_bound
from core.judgement.calibration import Calibration
from core.judgement.cases import Case, Judged, cases_of, judged_of, last_judge
from core.judgement.versions import Versions
from core.ledger import Hindsight, Ledger

OWN = 300
"""Outcomes from which on a kind has a threshold of its own: half as many hardly certify 5 % where 2 % go wrong.
Whatever the risk is: more of it must not regroup."""
_RECENT = 5000
"""Decisions that the coverage is expected from."""
OTHERS = "otras"
ALL = "todas"


@dataclass(frozen=True)
class Rule:
    """The threshold of one group of actions, and what it rests on."""

    group: str
    """A kind of action, `OTHERS` or `ALL`."""
    threshold: int
    outcomes: int
    """Labelled, of the group."""
    at: Trial
    """Those that reach the threshold."""
    certified: Certified | None
    least: float | None
    """The smallest risk for which any threshold could be certified."""

    @property
    def bound(self) -> float:
        """The risk that the outcomes exclude from being higher."""
        return self.certified.bound if self.certified else upper_bound(self.at.errors, self.at.n)

    @property
    def told(self) -> str:
        """Why this threshold, in a sentence."""
        if self.certified:
            n, errors = self.certified.trial.n, self.certified.trial.errors
            return f"certificado: {errors} equivocadas en {n}; riesgo de {percent(self.certified.bound)} como mucho"
        if not self.outcomes:
            return "sin certificar: no hay resultados etiquetados que valgan"
        best = "" if self.least is None else f"; lo menor que se puede certificar es un {percent(self.least)}"
        return f"sin certificar: {self.outcomes} resultados no bastan{best}"


@dataclass(frozen=True)
class Thresholds:
    """What is in force for a run."""

    risk: float | None
    """Allowed; None: the threshold is set by hand."""
    fallback: int
    """`CRITIC_APPROVAL_THRESHOLD`."""
    rules: tuple[Rule, ...] = ()
    """Of the kinds with one of their own, then that of the others."""
    unusable: Mapping[str, int] = field(default_factory=dict)
    """Why labelled decisions do not count -> how many."""
    coverage: float | None = None
    """Share of the recent decisions that these thresholds would have acted on, at best."""

    @property
    def default(self) -> int:
        """For every kind without one of its own."""
        shared = [rule.threshold for rule in self.rules if rule.group in (OTHERS, ALL)]
        return shared[0] if shared else max([self.fallback, *self.by_kind.values()])

    @property
    def by_kind(self) -> dict[str, int]:
        """Of the kinds with one of their own."""
        return {rule.group: rule.threshold for rule in self.rules if rule.group not in (OTHERS, ALL)}

    @property
    def certain(self) -> bool:
        """Every group is within the risk that is allowed."""
        return all(rule.certified for rule in self.rules)

    def facts(self) -> dict[str, Any]:
        """For the run's report."""
        return {
            "maximo": self.risk,
            "confianza": CONFIDENCE,
            "certificado": self.certain,
            "umbrales": [
                {
                    "tipo": rule.group,
                    "umbral": rule.threshold,
                    "certificado": rule.certified is not None,
                    "resultados": rule.outcomes,
                    "n": rule.at.n,
                    "equivocadas": rule.at.errors,
                    "cota": round(rule.bound, 4),
                    "minimo_certificable": None if rule.least is None else round(rule.least, 4),
                    "motivo": rule.told,
                }
                for rule in self.rules
            ],
            "resultados_que_no_valen": dict(self.unusable),
            "cobertura_esperada": None if self.coverage is None else round(self.coverage, 4),
            "a_personas_como_minimo": None if self.coverage is None else round(1 - self.coverage, 4),
        }


@dataclass(frozen=True)
class Experience:
    """What is known for setting thresholds: the ledger's cases and recent decisions, as one calibration sees them."""

    calibration: Calibration
    known: Mapping[str, Calibration]
    """Fingerprint -> calibration, of every one that may have made an approval."""
    judge: str
    cases: Sequence[Case]
    recent: Sequence[Judged] = ()
    kinds: Collection[str] | None = None
    """Of action that the catalogue has; None: not known, so there may be others."""

    def thresholds(self, risk: float, fallback: int) -> Thresholds:
        """For an allowed share of wrong actions."""
        usable, unusable = self._usable()
        counts = Counter(kind for kind, _, _ in usable)
        own = sorted(kind for kind, count in counts.items() if count >= OWN)
        groups = {kind: [(a, good) for k, a, good in usable if k == kind] for kind in own}
        if self.kinds is None or not set(own) >= set(self.kinds):
            groups[OTHERS if own else ALL] = [(a, good) for k, a, good in usable if k not in own]
        rules = tuple(_rule(group, outcomes, risk, fallback) for group, outcomes in groups.items())
        made = Thresholds(risk, fallback, rules, unusable)
        return Thresholds(risk, fallback, rules, unusable, self._coverage(made))

    def _usable(self) -> tuple[list[tuple[str, int, bool]], dict[str, int]]:
        """(kind, approval, right) of the outcomes that certify, and why the others do not."""
        before = self.calibration.before
        same_order = before is not None and self.calibration.ranks_as(before)
        until = "" if same_order else str(self.calibration.fitted.get("hasta", ""))
        found: list[tuple[str, int, bool]] = []
        why: Counter[str] = Counter()
        for case in self.cases:
            approval = self.approval(case.judged)
            if not case.judged.acted:
                why["quedó para una persona"] += 1
            elif case.judged.when <= until:
                why["sirvió para ajustar la calibración"] += 1
            elif case.judged.judge != self.judge:
                why["lo juzgó otro modelo, o no consta cuál"] += 1
            elif approval is None:
                why["otra calibración, sin su evidencia completa"] += 1
            else:
                found.append((case.judged.kind, approval, case.right))
        return found, dict(why)

    def approval(self, judged: Judged) -> int | None:
        """By the calibration in force; None where the decision was selected by another order of candidates."""
        if judged.calibration == self.calibration.fingerprint:
            return judged.approval
        made = self.known.get(judged.calibration)
        if made is None or judged.evidence is None or not self.calibration.ranks_as(made):
            return None
        return self.calibration.approval(judged.evidence, judged.logit)

    def _coverage(self, thresholds: Thresholds) -> float | None:
        """None where nothing recent can be compared."""
        by_kind, default = thresholds.by_kind, thresholds.default
        seen = [one for one in self.recent if self.approval(one) is not None or not (one.evidence or one.acted)]
        if not seen:
            return None
        done = 0
        for one in seen:
            approval = self.approval(one)
            able = approval is not None and approval >= by_kind.get(one.kind, default)
            done += able and (one.acted or one.only_below)
        return done / len(seen)


def read_experience(
    ledger: Ledger,
    versions: Versions,
    embeddings: str,
    silent_days: int,
    entries: Iterable[CatalogueEntry],
    judge: str = "",
) -> Experience:
    """What the ledger teaches about the calibration in force, for the kinds of action of the catalogue, `entries`.

    `judge`: the model that judges, by default the last one.

    Raises `DependencyError`, and `UsageError` where a calibration is broken.
    """
    hindsight = Hindsight(ledger)
    cases = cases_of(hindsight, silent_days)
    recent = [judged_of(record) for record in hindsight.recent(_RECENT)]
    return Experience(
        versions.in_force(embeddings),
        versions.known(embeddings),
        judge or last_judge(recent),
        cases,
        recent,
        {entry.kind for entry in entries if entry.resolution is not Resolution.MANUAL} or None,
    )


def _rule(group: str, outcomes: Sequence[tuple[int, bool]], risk: float, fallback: int) -> Rule:
    trials = trials_of(outcomes)
    certified = certify(trials, risk)
    least = least_risk(trials)
    if certified:
        return Rule(group, round(certified.trial.threshold), len(outcomes), certified.trial, certified, least)
    stricter = certify(trials, least) if least is not None else None
    threshold = max(fallback, round(stricter.trial.threshold) if stricter else 0)
    reached = [good for approval, good in outcomes if approval >= threshold]
    at = Trial(threshold, len(reached), reached.count(False))
    return Rule(group, threshold, len(outcomes), at, None, least)


def percent(share: float) -> str:
    """`4.9 %`, never below what it says."""
    up = -(-share * 1000 // 1) / 10
    return f"{up:g} %"
