"""core/critic_loop.py: what is approved, what is turned down and why, and how often it tries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from core.catalogue import CatalogueEntry, Resolution
from core.critic_loop import CriticLoop, Limits, Status, Verdict
from core.errors import Retryable
from core.evidence import Evidence
from core.judgement import Calibration
from core.knowledge import KnownEntry
from core.knowledge.entry import prepare
from core.marks import Mark, was_tried
from core.ports import Capabilities, Critique
from core.reason import Reason
from core.search import Candidate
from core.trace import timing

OWN = "palabras de la incidencia"
CRITIQUE = Critique(reason="otra cosa", problem_type="Error", avoid_solution_types=("cierre",))


def _entry(name: str, solution: str = "", kind: Resolution = Resolution.CLOSE, mailbox: str = "") -> KnownEntry:
    row = CatalogueEntry(component="", description=name, solution=solution or name, resolution=kind, mailbox=mailbox)
    return prepare(row, str, "hash-1")


def _candidate(entry: KnownEntry, bm25: float = 0.5) -> Candidate:
    return Candidate(entry, Evidence(bm25=bm25), order=bm25)


@dataclass
class FixedSearcher:
    """Finds the same candidates always, and `later` from the second search on."""

    candidates: Sequence[Candidate]
    later: Sequence[Candidate] = ()
    searched: list[tuple[list[str], set[str]]] = field(default_factory=list)

    def search(self, texts: Sequence[str], *, without: Collection[str] = ()) -> list[Candidate]:
        self.searched.append((list(texts), set(without)))
        found = [*self.candidates, *(self.later if len(self.searched) > 1 else ())]
        return sorted((c for c in found if c.entry.id not in without), key=lambda c: -c.order)


class ScriptedTasks:
    """Logits per description; every other reply by script. Remembers what it was asked."""

    model_name = "scripted"

    def __init__(
        self,
        logits: Mapping[str, float],
        *,
        writes: bool = False,
        choices: Sequence[str | None] = (),
        approves: Sequence[bool] = (),
    ) -> None:
        self.capabilities = Capabilities(writes_verdicts=writes)
        self._logits = logits
        self._choices = iter(choices)
        self._approves = iter(approves)
        self.judged: list[str] = []
        self.offered: list[set[str]] = []
        self.criticised: list[tuple[str, str]] = []
        self.reworded: list[Critique | str | None] = []

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        self.judged += candidates
        return [self._logits[text] for text in candidates]

    async def choose(self, incident: str, candidates: Mapping[str, str]) -> str | None:
        self.offered.append(set(candidates.values()))
        wanted = next(self._choices)
        return next((i for i, text in candidates.items() if text == wanted), wanted)

    async def criticise(self, incident: str, candidate: str, action: str) -> tuple[bool, Critique]:
        self.criticised.append((candidate, action))
        return next(self._approves), CRITIQUE

    async def reformulate(self, incident: str, critique: Critique | None) -> str:
        self.reworded.append(critique)
        return "otras palabras"

    async def keywords(self, incident: str) -> list[str]:
        self.reworded.append("keywords")
        return ["una", "dos"]


# approval = 100·σ(logit + 2·bm25 - 1): with bm25 = 0.5 it is the logit's alone.
CALIBRATION = Calibration(
    embeddings="e5", judge="j", prompt="p", intercept=-1, logit=1, logit_range=(-6, 4), scores={"bm25": 2}
)
SURE, LIKELY, UNLIKELY, NO = 3.0, 0.5, -0.5, -5.0  # 95, 62, 38, 1

A, B, C = _entry("a"), _entry("b"), _entry("c")


async def _decide(
    searcher: FixedSearcher, tasks: ScriptedTasks, marks: Collection[Mark] = (), retries: int = 2, judged: int = 3
) -> Verdict:
    loop = CriticLoop(searcher, tasks, CALIBRATION, Limits(threshold=65, retries=retries, judged=judged))
    return await loop.decide("texto para el modelo", OWN, lambda row: was_tried(row.id, row.solution, marks))


async def test_approved() -> None:
    searcher, tasks = FixedSearcher([_candidate(A), _candidate(B, 0.4)]), ScriptedTasks({"a": SURE, "b": NO})
    with timing() as seconds:
        verdict = await _decide(searcher, tasks)
    assert (verdict.status, verdict.reason) == (Status.APPROVED, Reason.APPROVED)
    assert verdict.proposal is not None
    assert verdict.proposal.candidate.entry == A
    assert verdict.proposal.approval == 95
    assert verdict.proposal.logit == SURE
    assert verdict.rejections == ()
    assert [c.entry for c in verdict.candidates] == [A, B]
    assert searcher.searched == [([OWN], set())]
    assert tasks.reworded == []
    assert set(seconds) == {"search", "judge", "choose", "critic"}


async def test_every_judgement_and_rejection_is_told_in_numbers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await _decide(FixedSearcher([_candidate(A), _candidate(B, 0.4)]), ScriptedTasks({"a": NO, "b": -6.0}))
    told = [vars(record) for record in caplog.records]
    judged = [facts for facts in told if facts.get("action") == "judged"]
    assert [(facts["row"], facts["logit"], facts["bm25"], facts["attempt"]) for facts in judged] == [
        (A.id, NO, 0.5, 1),
        (B.id, -6.0, 0.4, 1),
    ]
    (rejected,) = [facts for facts in told if facts.get("action") == "critic_rejected"]
    assert (rejected["row"], rejected["approval"], rejected["reason"]) == (A.id, 1, "BELOW_THRESHOLD")


async def test_a_row_for_people_says_so() -> None:
    row = _entry("m", kind=Resolution.MANUAL)
    verdict = await _decide(FixedSearcher([_candidate(row)]), ScriptedTasks({"m": SURE}))
    assert (verdict.status, verdict.reason) == (Status.APPROVED, Reason.MANUAL_ENTRY)


async def test_below_the_threshold_tries_again_with_other_words() -> None:
    searcher = FixedSearcher([_candidate(A)], later=[_candidate(B, 0.4)])
    verdict = await _decide(searcher, ScriptedTasks({"a": LIKELY, "b": SURE - 0.2}))
    assert verdict.status is Status.APPROVED
    assert verdict.proposal is not None
    assert verdict.proposal.candidate.entry == B
    [rejection] = verdict.rejections
    assert (rejection.attempt, rejection.reason) == (1, Reason.BELOW_THRESHOLD)
    assert "62" in rejection.critique.reason
    assert searcher.searched == [([OWN], set()), ([OWN, "otras palabras"], {A.id})]


async def test_tries_are_bounded_and_the_best_rejection_is_the_answer() -> None:
    rows = [_entry(f"r{i}") for i in range(9)]

    class Endless(FixedSearcher):
        def search(self, texts: Sequence[str], *, without: Collection[str] = ()) -> list[Candidate]:
            super().search(texts, without=without)
            return [_candidate(rows[len(self.searched)])]

    searcher = Endless([])
    tasks = ScriptedTasks({"r1": UNLIKELY, "r2": LIKELY, "r3": UNLIKELY, "r4": SURE})
    verdict = await _decide(searcher, tasks)
    assert verdict.status is Status.REJECTED
    assert verdict.reason is Reason.BELOW_THRESHOLD
    assert verdict.proposal is not None
    assert verdict.proposal.candidate.entry.description == "r2"
    assert [r.attempt for r in verdict.rejections] == [1, 2, 3]
    assert [texts for texts, _ in searcher.searched] == [
        [OWN],
        [OWN, "otras palabras"],
        [OWN, "otras palabras", "una dos"],
    ]
    assert tasks.reworded == [verdict.rejections[0].critique, "keywords"]
    proposed = [r.proposal.candidate.entry.id for r in verdict.rejections]
    assert len(set(proposed)) == 3
    assert searcher.searched[-1][1] == set(proposed[:2])


async def test_no_retries_means_one_try() -> None:
    searcher, tasks = FixedSearcher([_candidate(A)], later=[_candidate(B)]), ScriptedTasks({"a": LIKELY})
    verdict = await _decide(searcher, tasks, retries=0)
    assert verdict.status is Status.REJECTED
    assert len(searcher.searched) == 1
    assert tasks.reworded == []


async def test_nothing_new_ends_the_tries() -> None:
    searcher, tasks = FixedSearcher([_candidate(A)]), ScriptedTasks({"a": LIKELY})
    verdict = await _decide(searcher, tasks)
    assert len(searcher.searched) == 2
    assert tasks.judged == ["a"]
    assert (verdict.status, verdict.reason) == (Status.REJECTED, Reason.BELOW_THRESHOLD)
    assert verdict.proposal is not None
    assert verdict.proposal.candidate.entry == A


async def test_what_is_far_from_anything_is_not_reworded() -> None:
    tasks = ScriptedTasks({"a": NO})
    verdict = await _decide(FixedSearcher([_candidate(A)]), tasks)
    assert (verdict.status, verdict.reason) == (Status.REJECTED, Reason.BELOW_THRESHOLD)
    assert tasks.reworded == []


async def test_nothing_found() -> None:
    verdict = await _decide(FixedSearcher([]), ScriptedTasks({}))
    assert verdict == Verdict(None, Reason.NO_CANDIDATE, None)


async def test_the_hopeless_are_not_judged() -> None:
    """With bm25 = -2 the surest judge gives 27, so the threshold is out of reach."""
    tasks = ScriptedTasks({"a": SURE})
    verdict = await _decide(FixedSearcher([_candidate(A), _candidate(B, -2)]), tasks)
    assert tasks.judged == ["a"]
    assert verdict.status is Status.APPROVED
    verdict = await _decide(FixedSearcher([_candidate(B, -2)]), tasks)
    assert tasks.judged == ["a"]
    assert (verdict.status, verdict.reason, verdict.proposal) == (None, Reason.NO_CANDIDATE, None)
    assert [c.entry for c in verdict.candidates] == [B]


async def test_only_the_best_few_are_judged() -> None:
    rows = [_entry(f"r{i}") for i in range(9)]
    searcher = FixedSearcher([_candidate(row, 0.9 - i / 20) for i, row in enumerate(rows)])
    tasks = ScriptedTasks({row.description: SURE if i == 0 else NO for i, row in enumerate(rows)})
    verdict = await _decide(searcher, tasks, judged=2)
    assert tasks.judged == ["r0", "r1"]
    assert [c.entry.description for c in verdict.candidates] == ["r0", "r1"]


@pytest.mark.parametrize(
    ("other", "approved"),
    [
        pytest.param(_entry("b"), False, id="another solution"),
        pytest.param(_entry("b", solution="a"), True, id="the same action"),
        pytest.param(_entry("b", solution="a", kind=Resolution.WAIT), False, id="another kind"),
        pytest.param(_entry("b", solution="a", mailbox="TALLER"), False, id="another mailbox"),
    ],
)
@pytest.mark.parametrize(
    ("logits", "bm25", "reason"),
    [
        pytest.param({"a": 2.0, "b": 1.9}, 0.5, Reason.RIVAL_CANDIDATE, id="rival"),
        pytest.param({"a": 1.5, "b": 1.6}, 0.1, Reason.JUDGE_DISAGREES, id="the judge names another"),
    ],
)
async def test_two_that_fit(
    logits: dict[str, float], bm25: float, reason: Reason, other: KnownEntry, approved: bool
) -> None:
    verdict = await _decide(FixedSearcher([_candidate(A), _candidate(other, bm25)]), ScriptedTasks(logits), retries=0)
    assert verdict.proposal is not None
    assert verdict.proposal.candidate.entry == A
    assert verdict.reason is (Reason.APPROVED if approved else reason)
    if not approved:
        [rejection] = verdict.rejections
        assert rejection.critique.recommended_approach == "Que una persona elija entre los candidatos."


async def test_a_rejected_rival_is_still_a_rival() -> None:
    """Turning the first of two down must not let the second pass unopposed."""
    searcher = FixedSearcher([_candidate(A), _candidate(B, 0.45)], later=[_candidate(C, 0.1)])
    verdict = await _decide(searcher, ScriptedTasks({"a": 2.0, "b": 2.0, "c": NO}))
    assert (verdict.status, verdict.reason) == (Status.REJECTED, Reason.RIVAL_CANDIDATE)
    assert [r.proposal.candidate.entry for r in verdict.rejections[:2]] == [A, B]


@pytest.mark.parametrize(
    ("mark", "tried"),
    [
        pytest.param(Mark("d-1", A.id, "cierre", ""), True, id="this row"),
        pytest.param(Mark("d-1", None, "", ""), True, id="a mark that says nothing"),
        pytest.param(Mark("d-1", B.id, "cierre", ""), False, id="another row"),
        pytest.param(Mark("d-1", A.id, "manual", ""), False, id="left to a person"),
    ],
)
async def test_already_tried(mark: Mark, tried: bool) -> None:
    tasks = ScriptedTasks({"a": SURE})
    verdict = await _decide(FixedSearcher([_candidate(A)]), tasks, [mark])
    expected = (Status.ALREADY_TRIED, Reason.ALREADY_TRIED) if tried else (Status.APPROVED, Reason.APPROVED)
    assert (verdict.status, verdict.reason) == expected
    assert verdict.rejections == ()
    assert tasks.reworded == []


# Models whose written word counts


async def test_the_model_chooses_and_criticises() -> None:
    tasks = ScriptedTasks({"a": 1.6, "b": 1.6}, writes=True, choices=["b"], approves=[True])
    same = _entry("b", solution="a")
    verdict = await _decide(FixedSearcher([_candidate(A), _candidate(same, 0.45)]), tasks)
    assert verdict.status is Status.APPROVED
    assert verdict.proposal is not None
    assert verdict.proposal.candidate.entry == same
    assert tasks.criticised == [("b", "cierre: a")]


@pytest.mark.parametrize("choice", [pytest.param(None, id="none"), pytest.param("inventada", id="invented")])
async def test_the_model_chooses_none(choice: str | None) -> None:
    tasks = ScriptedTasks({"a": SURE, "b": NO}, writes=True, choices=[choice])
    verdict = await _decide(FixedSearcher([_candidate(A), _candidate(B, 0.4)]), tasks)
    assert (verdict.status, verdict.reason) == (Status.REJECTED, Reason.NONE_CHOSEN)
    assert verdict.proposal is not None
    assert verdict.proposal.candidate.entry == A
    assert tasks.criticised == []


async def test_the_critic_rejects() -> None:
    tasks = ScriptedTasks({"a": SURE, "b": SURE}, writes=True, choices=["a", None], approves=[False])
    verdict = await _decide(FixedSearcher([_candidate(A)], later=[_candidate(B, 0.4)]), tasks)
    assert (verdict.status, verdict.reason) == (Status.REJECTED, Reason.CRITIC_REJECTED)
    [rejection] = verdict.rejections
    assert rejection.critique == CRITIQUE
    assert tasks.reworded == [CRITIQUE]
    assert tasks.offered == [{"a"}, {"b"}]


async def test_a_weak_proposal_never_reaches_the_critic() -> None:
    tasks = ScriptedTasks({"a": LIKELY}, writes=True, choices=["a"], approves=[True])
    verdict = await _decide(FixedSearcher([_candidate(A)]), tasks, retries=0)
    assert verdict.reason is Reason.BELOW_THRESHOLD
    assert tasks.criticised == []


@pytest.mark.faults
async def test_a_model_that_fails_is_not_a_verdict() -> None:
    class Broken(ScriptedTasks):
        async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
            raise Retryable(Reason.MODEL_TIMEOUT)

    with pytest.raises(Retryable) as caught:
        await _decide(FixedSearcher([_candidate(A)]), Broken({}))
    assert caught.value.reason is Reason.MODEL_TIMEOUT


@pytest.mark.faults
async def test_too_few_logits_are_an_error() -> None:
    class Short(ScriptedTasks):
        async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
            return [SURE]

    with pytest.raises(ValueError, match="shorter"):
        await _decide(FixedSearcher([_candidate(A), _candidate(B)]), Short({}))


@pytest.mark.parametrize(
    ("own", "threshold", "status"),
    [
        pytest.param({"cierre": 96}, 65, Status.REJECTED, id="a stricter one of its own"),
        pytest.param({"cierre": 95}, 100, Status.APPROVED, id="a laxer one of its own"),
        pytest.param({"en espera": 99}, 65, Status.APPROVED, id="another kind's"),
    ],
)
async def test_a_kind_may_have_a_threshold_of_its_own(own: dict[str, int], threshold: int, status: Status) -> None:
    tasks = ScriptedTasks({"a": SURE})
    loop = CriticLoop(FixedSearcher([_candidate(A)]), tasks, CALIBRATION, Limits(threshold, 0, 3, by_kind=own))
    verdict = await loop.decide("texto para el modelo", OWN)
    assert verdict.status is status
    assert [rejection.threshold for rejection in verdict.rejections] == ([96] if status is Status.REJECTED else [])
    assert verdict.basis == (CALIBRATION.fingerprint, tasks.model_name)
