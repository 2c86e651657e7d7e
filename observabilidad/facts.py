"""What the lines of the record tell: every `action`, and the facts that a line has beside the fixed ones.

Every line has `time`, `level`, `logger`, `message` and `action`; and, where they apply, `incident`, `run`, `stage`,
`decision` and `ms`. The dashboards read these names, so they are part of the contract.
"""

from collections.abc import Mapping

RUN: Mapping[str, str] = {
    "run_started": "version, hands, simulated",
    "run_done": "incidents, left, ms, automatica, propuesta, humano, error",
    "threshold": "group, threshold, why: at a run's start, for each kind of action that has its own",
    "run_failed": "error: the run was cut short",
    "incident_done": "result, kind, reason, approval, critic, row, problem, target, confirmed, simulated, candidates, "
    "calls, judgements, tokens_in, tokens_out, ms, and <stage>_ms per stage",
    "stage_done": "ms, failed; a stage that is gone through twice has two lines",
    "model_called": "task, model, prompt_version, tokens_in, tokens_out, ms, failed",
    "desk_listed": "open, added, waiting, unreadable; one per look at the desk",
    "http_answered": "service, method, status (0: no answer), ms; one per try",
}
"""One line per run, incident, stage, call to a model, request to desk or system."""

DECIDED: Mapping[str, str] = {
    "judged": "attempt, row, approval, logit and the search's scores; one per candidate",
    "critic_rejected": "attempt, row, problem, approval, reason",
    "change_confirmed": "the desk shows the change",
    "change_stopped": "phase, reason",
    "capped": "scope",
    "approved": "done: a person let the proposal pass",
    "rejected": "a person did not",
    "undone": "a person took it back",
    "reopened": "row",
    "outcome": "label, row, kind, approval, autonomy: what turned out, once per decision and label",
}
"""What was decided and done."""

TROUBLE: Mapping[str, str] = {
    "stage_failed": "reason, error",
    "internal_error": "error, exc_info",
    "model_failed": "task, reason",
    "prompt_cut": "tokens, words",
    "gave_up": "begun: an incident that brings the process down",
    "note_failed": "reason",
    "unsettled": "reason",
    "proposal_unread": "reason",
    "lookup_failed": "reason",
    "suggestion_failed": "reason",
    "desk_away": "reason",
    "desk_plain": "missing: what the desk does not offer",
    "mailbox_filter": "dropped",
    "invalid": "count",
    "unreadable": "an incident of the desk",
    "cache_failed": "error",
    "catalogue_unreadable": "error",
    "history_failing": "error",
    "history_lost": "calls",
    "retention_failed": "error",
    "background_failed": "error: documents are not shown to the person",
    "evidence_failed": "error: what is known of calls is not shown to the person",
    "calls_unavailable": "error: as before, for the whole run",
    "explanation_failed": "reason: the call is told by its evidence alone",
    "answer_void": "why: an answer cited what it was not given",
    "traces_failing": "error: MLflow is away; once a run",
    "traces_lost": "traces",
    "examples_unread": "error: the rows keep the examples they had",
    "replay_not_kept": "error: a replay cut short would begin anew",
    "replay_not_forgotten": "error",
}
"""What went wrong and was borne."""

HOUSE: Mapping[str, str] = {
    "knowledge_swapped": "collection",
    "meta_restored": "path",
    "wal_unavailable": "collection",
    "forgotten": "decisions, answers, calls",
    "documents_removed": "documents",
    "calls_loaded": "rows",
    "intents_cache_damaged": "made anew",
    "queue_busy": "the queue's database is away",
    "ledger_busy": "the decisions' database is away",
    "journal_failed": "error",
    "step_failed": "step (detail level)",
    "lock_lost": "the executor's lock",
    "slots_away": "error",
    "swept": "moved, by",
    "sweep_put_off": "error",
    "loki_trouble": "answer: away, faulty, refused; each once a run",
    "loki_incomplete": "lost, sent, since",
}
"""The machinery itself."""

ACTIONS: Mapping[str, str] = {**RUN, **DECIDED, **TROUBLE, **HOUSE}
