import asyncio

from core.usage import Usage, count, count_error, metering


def test_a_meter_counts_what_happens_within_it() -> None:
    count(Usage(generative=1))
    with metering() as usage:
        count(Usage(generative=1, input_tokens=10, output_tokens=2))
        count(Usage(judgements=1, input_tokens=5))
    count(Usage(generative=1))
    assert usage == Usage(generative=1, judgements=1, input_tokens=15, output_tokens=2)


def test_an_outer_meter_gets_the_inner_ones_counts() -> None:
    with metering() as outer:
        count(Usage(judgements=1))
        with metering() as inner:
            count(Usage(generative=2))
    assert inner == Usage(generative=2)
    assert outer == Usage(generative=2, judgements=1)


def test_errors_are_counted_per_service_and_once_in_the_outer_meter() -> None:
    count_error("la mesa")
    with metering() as outer:
        count_error("la mesa")
        with metering() as inner:
            count_error("la mesa")
            count_error("el modelo")
    assert inner.errors == {"la mesa": 1, "el modelo": 1}
    assert outer.errors == {"la mesa": 2, "el modelo": 1}
    assert Usage().errors == {}


async def test_tasks_started_within_are_counted_and_neighbours_are_kept_apart() -> None:
    async def incident(calls: int) -> Usage:
        with metering() as usage:
            await asyncio.gather(*(one() for _ in range(calls)))
        return usage

    async def one() -> None:
        await asyncio.sleep(0)
        count(Usage(judgements=1))

    first, second = await asyncio.gather(incident(2), incident(3))
    assert (first.judgements, second.judgements) == (2, 3)
