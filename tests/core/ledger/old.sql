-- The decisions of a set-up as the first version of the ledger left them; never brought up to date by hand.
CREATE TABLE ledger_version (number INTEGER NOT NULL);
INSERT INTO ledger_version VALUES (1);
CREATE TABLE decisions (
    id TEXT PRIMARY KEY, incident TEXT NOT NULL, run TEXT NOT NULL, created TEXT NOT NULL, fingerprint TEXT NOT NULL,
    entry TEXT, kind TEXT NOT NULL, mailbox TEXT NOT NULL, target TEXT, approval INTEGER, autonomy TEXT NOT NULL,
    phase TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', state_before TEXT NOT NULL DEFAULT '',
    mailbox_before TEXT NOT NULL DEFAULT '', state_after TEXT NOT NULL DEFAULT '',
    mailbox_after TEXT NOT NULL DEFAULT '', fingerprint_after TEXT NOT NULL DEFAULT '',
    sent_at TEXT NOT NULL DEFAULT '', closed_at TEXT NOT NULL DEFAULT ''
);
CREATE INDEX decisions_by_incident ON decisions (incident);
CREATE TABLE outcomes (
    decision TEXT NOT NULL, label TEXT NOT NULL, incident TEXT NOT NULL, entry TEXT, who TEXT NOT NULL,
    said TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (decision, label)
);
CREATE TABLE controls (name TEXT PRIMARY KEY, value TEXT NOT NULL, who TEXT NOT NULL, said TEXT NOT NULL);
INSERT INTO decisions (id, incident, run, created, fingerprint, entry, kind, mailbox, approval, autonomy, phase, closed_at)
VALUES ('d-00000000000a', 'INC-1', 'r1', '2026-01-02T10:00:00+00:00', 'f1', 'e1', 'cierre', 'Soporte', 91,
        'automatica', 'confirmed', '2026-01-02T10:00:01+00:00'),
       ('d-00000000000b', 'INC-2', 'r1', '2026-01-02T10:00:02+00:00', 'f2', 'e2', 'en espera', 'Soporte', 70,
        'automatica', 'unknown', '');
INSERT INTO outcomes VALUES ('d-00000000000a', 'acertada', 'INC-1', 'e1', 'ana', '2026-01-03T09:00:00+00:00', '');
INSERT INTO controls VALUES ('pausa', 'no', 'ana', '2026-01-03T09:00:00+00:00');
