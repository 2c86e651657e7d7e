"""What every incident desk must do: the same tests over the double and over HTTP, with and without the extras.

A subclass gives the fixtures `desk` and `plain`. The desk must hold at least two open incidents in state "Abierta",
one closed incident, and an open one with an attachment in its history.
"""

import pytest

from core.actions import DeskChange, DeskVerb
from core.errors import Terminal
from core.incident import Incident
from core.ports import DeskListing, IncidentDesk
from core.reason import Reason

RESOLVE = DeskChange(verb=DeskVerb.RESOLVE, notes="[SPAI] Resuelta. decisión d-1", detail="Se explica el motivo.")
WAIT = DeskChange(verb=DeskVerb.WAIT, notes="[SPAI] Falta un dato. decisión d-2")
AWAIT_FIX = DeskChange(verb=DeskVerb.AWAIT_FIX, notes="[SPAI] Se corrige pronto. decisión d-3")
REASSIGN = DeskChange(verb=DeskVerb.REASSIGN, mailbox="BUZON_DE_PRUEBA", notes="[SPAI] Es de otro equipo. decisión d-4")


def _codes(listing: DeskListing) -> list[str]:
    return [incident.code for incident in listing.incidents]


async def _an_open_one(desk: IncidentDesk, position: int = 0) -> Incident:
    listing = await desk.list_open()
    code = [incident.code for incident in listing.incidents if incident.status == "Abierta"][position]
    return await desk.read(code)


class DeskContract:
    """Run over each desk by subclassing."""

    async def test_listings_do_not_overlap(self, desk: IncidentDesk) -> None:
        opened, closed = await desk.list_open(), await desk.list_closed()
        assert opened.incidents
        assert closed.incidents
        assert not set(_codes(opened)) & set(_codes(closed))
        assert opened.invalid == closed.invalid == ()

    async def test_listing_by_mailbox_has_all_of_it_and_nothing_else(self, desk: IncidentDesk) -> None:
        every = (await desk.list_open()).incidents
        mailbox = every[0].mailbox
        listed = (await desk.list_open(mailbox)).incidents
        assert [i.code for i in listed] == [i.code for i in every if i.mailbox == mailbox]

    async def test_unknown_mailbox_is_empty(self, desk: IncidentDesk) -> None:
        assert (await desk.list_open("NO_EXISTE")).incidents == ()

    async def test_read_gives_what_the_listing_has(self, desk: IncidentDesk, plain: bool) -> None:
        opened = (await desk.list_open()).incidents[0]
        closed = (await desk.list_closed()).incidents[0]
        for listed in (opened, closed):
            incident = await desk.read(listed.code)
            assert incident.fingerprint() == listed.fingerprint()
            assert (incident.etag is None) is plain

    async def test_reading_an_unknown_code_is_refused(self, desk: IncidentDesk) -> None:
        with pytest.raises(Terminal) as caught:
            await desk.read("NO-EXISTE-1")
        assert caught.value.reason is Reason.DESK_REFUSED
        # Asking for what is not there must not make a desk look poorer than it is.
        assert await _an_open_one(desk)

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            pytest.param(RESOLVE, "Resuelta", id="resolve"),
            pytest.param(WAIT, "En espera", id="wait"),
            pytest.param(AWAIT_FIX, "Pendiente de implantar", id="await-fix"),
            pytest.param(REASSIGN, "Abierta", id="reassign"),
        ],
    )
    async def test_change_takes_effect(self, desk: IncidentDesk, change: DeskChange, status: str) -> None:
        before = await _an_open_one(desk)
        await desk.change(before, change, "clave-1")
        after = await desk.read(before.code)
        assert after.status == status
        assert after.mailbox == (change.mailbox or before.mailbox)
        assert after.history[:-1] == before.history
        last = after.history[-1]
        assert (last.notes, last.detail, last.status) == (change.notes, change.detail or "", status)
        assert last.resolution_code
        assert last.date
        assert last.author
        assert after.fingerprint() != before.fingerprint()

    async def test_resolved_moves_to_the_closed(self, desk: IncidentDesk) -> None:
        incident = await _an_open_one(desk)
        await desk.change(incident, RESOLVE, "clave-1")
        assert incident.code not in _codes(await desk.list_open())
        assert incident.code in _codes(await desk.list_closed())

    async def test_changing_a_closed_incident_is_refused(self, desk: IncidentDesk) -> None:
        listed = (await desk.list_closed()).incidents[0]
        closed = await desk.read(listed.code)
        with pytest.raises(Terminal) as caught:
            await desk.change(closed, WAIT, "clave-1")
        assert caught.value.reason in (Reason.DESK_REFUSED, Reason.TOUCHED_MEANWHILE)
        assert (await desk.read(closed.code)).fingerprint() == closed.fingerprint()

    async def test_reassigning_what_is_resolved_opens_it_again(self, desk: IncidentDesk) -> None:
        incident = await _an_open_one(desk)
        await desk.change(incident, RESOLVE, "clave-1")
        back = DeskChange(verb=DeskVerb.REASSIGN, mailbox=incident.mailbox, notes="x")
        await desk.change(await desk.read(incident.code), back, "clave-2")
        assert (await desk.read(incident.code)).status == "Abierta"

    async def test_reassigning_nowhere_is_refused(self, desk: IncidentDesk) -> None:
        incident = await _an_open_one(desk)
        with pytest.raises(Terminal) as caught:
            await desk.change(incident, DeskChange(verb=DeskVerb.REASSIGN, notes="x"), "clave-1")
        assert caught.value.reason is Reason.DESK_REFUSED
        assert (await desk.read(incident.code)).fingerprint() == incident.fingerprint()

    async def test_changing_an_unknown_incident_is_refused(self, desk: IncidentDesk) -> None:
        with pytest.raises(Terminal) as caught:
            await desk.change(Incident(code="NO-EXISTE-1"), WAIT, "clave-1")
        assert caught.value.reason is Reason.DESK_REFUSED

    async def test_same_key_applies_once(self, desk: IncidentDesk, plain: bool) -> None:
        if plain:
            pytest.skip("the plain contract has no idempotency keys")
        incident = await _an_open_one(desk)
        await desk.change(incident, WAIT, "clave-1")
        await desk.change(incident, WAIT, "clave-1")
        assert len((await desk.read(incident.code)).history) == len(incident.history) + 1

    async def test_same_key_for_something_else_is_refused(self, desk: IncidentDesk, plain: bool) -> None:
        if plain:
            pytest.skip("the plain contract has no idempotency keys")
        incident = await _an_open_one(desk)
        await desk.change(incident, WAIT, "clave-1")
        with pytest.raises(Terminal) as caught:
            await desk.change(await desk.read(incident.code), RESOLVE, "clave-1")
        assert caught.value.reason is Reason.DESK_REFUSED

    async def test_stale_version_is_not_changed(self, desk: IncidentDesk, plain: bool) -> None:
        if plain:
            pytest.skip("the plain contract has no versions")
        stale = await _an_open_one(desk)
        await desk.change(stale, WAIT, "clave-1")
        current = await desk.read(stale.code)
        with pytest.raises(Terminal) as caught:
            await desk.change(stale, RESOLVE, "clave-2")
        assert caught.value.reason is Reason.TOUCHED_MEANWHILE
        assert await desk.read(stale.code) == current

    async def test_note_leaves_state_and_mailbox(self, desk: IncidentDesk, plain: bool) -> None:
        before = await _an_open_one(desk)
        assert await desk.note(before, "[SPAI] Para una persona. decisión d-5", "clave-1") is not plain
        after = await desk.read(before.code)
        assert (after.status, after.mailbox) == (before.status, before.mailbox)
        if plain:
            assert after == before
        else:
            assert after.history[-1].notes == "[SPAI] Para una persona. decisión d-5"

    async def test_repeated_note_is_written_once(self, desk: IncidentDesk, plain: bool) -> None:
        incident = await _an_open_one(desk)
        answers = [await desk.note(incident, "[SPAI] Nota. decisión d-6", "clave-1") for _ in range(2)]
        assert answers == [not plain] * 2
        assert len((await desk.read(incident.code)).history) == len(incident.history) + (0 if plain else 1)

    async def test_changing_one_leaves_the_others(self, desk: IncidentDesk) -> None:
        first, second = await _an_open_one(desk, 0), await _an_open_one(desk, 1)
        await desk.change(first, WAIT, "clave-1")
        assert await desk.read(second.code) == second

    async def test_attachment_comes_whole_and_within_its_limit(self, desk: IncidentDesk) -> None:
        listing = await desk.list_open()
        name = next(name for i in listing.incidents for entry in i.history for name in entry.attachments)
        content = await desk.attachment(name, 10_000_000)
        assert content
        assert await desk.attachment(name, len(content)) == content
        with pytest.raises(Terminal) as caught:
            await desk.attachment(name, len(content) - 1)
        assert caught.value.reason is Reason.ATTACHMENT_UNREADABLE

    async def test_unknown_attachment_is_unreadable(self, desk: IncidentDesk) -> None:
        with pytest.raises(Terminal) as caught:
            await desk.attachment("no-existe.png", 1000)
        assert caught.value.reason is Reason.ATTACHMENT_UNREADABLE
