"""Personal data made up for tests: valid ones, in the ways people write them. Strategies give (written, secret).

`secret` is what must not be found afterwards: the written value itself, or the digits of a policy number.
"""

from hypothesis import strategies as st

_CONTROL = "TRWAGMYFPDXBNJZSQVHLCKE"


def nif(number: int) -> str:
    """A valid NIF, eight digits and its letter."""
    return f"{number:08d}{_CONTROL[number % 23]}"


def nie(number: int) -> str:
    """A valid NIE: X, Y or Z, seven digits and the letter."""
    first, rest = divmod(number % 30_000_000, 10_000_000)
    return f"{'XYZ'[first]}{rest:07d}{_CONTROL[(first * 10_000_000 + rest) % 23]}"


def iban(account: int) -> str:
    """A Spanish IBAN with valid check digits (mod 97)."""
    digits = f"{account:020d}"
    return f"ES{98 - int(digits + '142800') % 97:02d}{digits}"


def _grouped(text: str, size: int, separator: str) -> str:
    return separator.join(text[i : i + size] for i in range(0, len(text), size))


def _dotted(value: str, separator: str) -> str:
    return f"{value[:2]}{separator}{value[2:5]}{separator}{value[5:8]}"


def nif_writings(value: str) -> list[str]:
    """The ways a NIF is written."""
    number, letter = value[:-1], value[-1]
    return [
        value,
        value.lower(),
        f"{number}-{letter}",
        f"{number} {letter}",
        f"{_dotted(number, '.')}-{letter}",
        f"{_dotted(number, '.')}{letter}",
        f"{_dotted(number, ' ')} {letter}",
    ]


def nie_writings(value: str) -> list[str]:
    """The ways a NIE is written."""
    first, number, letter = value[0], value[1:-1], value[-1]
    return [
        value,
        value.lower(),
        f"{first}-{number}-{letter}",
        f"{first} {number} {letter}",
        f"{first}{number}-{letter}",
    ]


def iban_writings(value: str) -> list[str]:
    """The ways an IBAN is written."""
    return [value, value.lower(), _grouped(value, 4, " "), _grouped(value, 4, "-"), _grouped(value.lower(), 4, " ")]


def phone_writings(number: str) -> list[str]:
    """The ways a Spanish phone of nine digits is written."""
    return [
        number,
        _grouped(number, 3, " "),
        _grouped(number, 3, "."),
        _grouped(number, 3, "-"),
        f"{number[:3]} {_grouped(number[3:], 2, ' ')}",
        _grouped(number, 3, "·"),
        _grouped(number, 3, "_"),
        f"{number[:3]} {number[3:6]}\n{number[6:]}",
        f"{number[:3]} {number[3:5]} {number[5:7]}\n{number[7:]}",
        f"+34 {number}",
        f"+34{number}",
        f"0034 {_grouped(number, 3, ' ')}",
        f"(+34) {_grouped(number, 3, ' ')}",
    ]


def policy_writings(number: str) -> list[str]:
    """The ways a policy number is named; all hold the number as it is."""
    return [
        f"POL-{number}",
        f"pol {number}",
        f"póliza {number}",
        f"Póliza nº {number}",
        f"póliza n.º {number}",
        f"PÓLIZA NÚM. {number}",
        f"la poliza número {number}",
        f"número de póliza: {number}",
        f"póliza de hogar {number}",
        f"Póliza: **{number}**",
        f"my policy number is {number}",
        f"policy no. {number}",
    ]


def unclear_writings(number: str) -> list[str]:
    """The ways a policy number is named without being one for certain; all hold the number as it is."""
    return [*policy_writings(number), f"pólizas {number}", f"PÓLIZA: {number}", f"nº de póliza\n{number}"]


def lettered_policies() -> st.SearchStrategy[str]:
    """Policy numbers with letters, a year or a branch: `AB-1234567`, `HG/2024/00123`, `2024/0012345`, `030/1234567`."""
    letters = st.sampled_from(["AB", "HG", "AUT", "MVID", "ZX"])
    number = st.integers(0, 9_999_999).map("{:07d}".format)
    year = st.integers(1990, 2030).map(str)
    return st.one_of(
        st.builds("{}{}{}".format, letters, st.sampled_from(["-", "/", ".", ""]), number),
        st.builds("{}{}{}".format, year, st.sampled_from(["/", "-"]), number),
        st.builds("{}/{}/{}".format, letters, year, number),
        st.builds("{:03d}/{}".format, st.integers(0, 999), number),
    )


def unclear_policies() -> st.SearchStrategy[tuple[str, str]]:
    """Policy numbers in forms that only a person can tell: `030-123456`, `H-123456`, `28-1-123456`, `0012 345678`,
    `12345678-1`; and plain ones before the word: `y la 12345678 (póliza de hogar)`."""
    six = st.integers(100_000, 999_999).map(str)
    odd = st.one_of(
        st.builds("{:03d}-{}".format, st.integers(0, 999), six),
        st.builds("{}-{}".format, st.sampled_from("HKVXZ"), six),
        st.builds("28-{}-{}".format, st.integers(1, 9), six),
        st.builds("00{} {}".format, st.integers(10, 99), six),
        st.builds("{}{}-{}".format, st.integers(10, 59), six, st.integers(0, 9)),
        st.builds("ABCDE-{}".format, six),
    )
    before = st.sampled_from(["y la {} (póliza de hogar)", "y el número {} de póliza", "que {} es mi póliza"])
    return st.one_of(
        odd.flatmap(lambda v: st.sampled_from([(w, v) for w in unclear_writings(v)])),
        st.builds(lambda form, number: (form.format(number), number), before, six),
    )


_LOCAL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=2, max_size=10)
_TOP = st.sampled_from(["es", "com", "cat", "eus", "local"])


def nifs() -> st.SearchStrategy[tuple[str, str]]:
    """Valid NIFs."""
    return st.integers(0, 99_999_999).map(nif).flatmap(lambda v: st.sampled_from(nif_writings(v))).map(_same)


def nies() -> st.SearchStrategy[tuple[str, str]]:
    """Valid NIEs."""
    return st.integers(0, 29_999_999).map(nie).flatmap(lambda v: st.sampled_from(nie_writings(v))).map(_same)


def ibans() -> st.SearchStrategy[tuple[str, str]]:
    """Valid Spanish IBANs."""
    return st.integers(0, 10**20 - 1).map(iban).flatmap(lambda v: st.sampled_from(iban_writings(v))).map(_same)


def emails() -> st.SearchStrategy[tuple[str, str]]:
    """Addresses with dots, plus and ñ."""
    local = st.builds("{}{}{}".format, _LOCAL, st.sampled_from([".", "+", "_", "-"]), _LOCAL)
    domain = st.builds("{}{}.{}".format, _LOCAL, st.sampled_from(["", "ñ", "-a"]), _TOP)
    return st.builds("{}@{}".format, local, domain).map(_same)


def phones() -> st.SearchStrategy[tuple[str, str]]:
    """Spanish phones."""
    number = st.builds("{}{:08d}".format, st.sampled_from("6789"), st.integers(0, 99_999_999))
    return number.flatmap(lambda v: st.sampled_from(phone_writings(v))).map(_same)


def policies() -> st.SearchStrategy[tuple[str, str]]:
    """Policy numbers of 6 to 12 digits or with letters, named as such."""
    digits = st.integers(6, 12).flatmap(lambda n: st.integers(10 ** (n - 1), 10**n - 1)).map(str)
    number = st.one_of(digits, lettered_policies())
    return number.flatmap(lambda v: st.sampled_from([(w, v) for w in policy_writings(v)]))


def personal_values() -> st.SearchStrategy[tuple[str, str]]:
    """Any of them."""
    return st.one_of(nifs(), nies(), ibans(), emails(), phones(), policies(), unclear_policies())


def _same(value: str) -> tuple[str, str]:
    return value, value


_AROUND = [
    ("El cliente ", " no puede emitir el recibo."),
    ("", ""),
    ("Datos:\n", "\nGracias, un saludo"),
    ("Según consta (", ") en la ficha"),
    ("«", "»"),
    ("tomador/", ", y otros"),
    ("[", "]"),
    ("Error 503 al consultar ", "; código ORA-00942"),
    ("el 15/01/2024 a las 10:30, ", " llamó"),
    ("id=", "&x"),
    ("\t", "\t"),
    ("¿es ", "?"),
]


def contexts() -> st.SearchStrategy[tuple[str, str]]:
    """What stands before and behind a value in a Spanish text."""
    return st.sampled_from(_AROUND)
