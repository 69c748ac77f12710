"""A made-up course: seeded, so that every installation starts with the same one. Nobody in it exists."""

from __future__ import annotations

import csv
import io
import random
import unicodedata
from datetime import date, timedelta

GIVEN = (
    "Ada Alejandro Amina Ana Andrés Anh Arjun Astrid Aylin Ben Bianca Carlos Chiara Chloé Daniel Deniz Dmitri Elena "
    "Emeka Emma Fatima Felix Finn Gabriela Giulia Hana Hannah Hassan Hugo Ibrahim Ines Ivan Jakub Jana João José "
    "Julia Jun Kai Karim Katarzyna Kenji Kwame Lars Laura Layla Leo Lena Lin Lucía Luis Maja Malik Marta Mateo Mei "
    "Mia Miguel Milan Mohammed Nadia Naomi Nils Noah Nora Olga Oliver Omar Paula Pedro Petra Priya Rafael Ravi Rosa "
    "Sakura Samuel Sara Sinéad Siobhán Sofía Sven Tariq Tomás Thi Uma Viktor Wanjiru Wei Yara Yuki Zainab Zoë"
)
FAMILY = (
    "Abe Ahmed Andersen Bauer Bianchi Botha Brown Chen Costa Diaz Dubois Eriksson Fernández Fischer Garcia Gupta "
    "Haddad Hansen Hopper Horváth Ito Ivanova Jansen Jensen Kamau Kaya Khan Kim Kowalska Kumar Larsen Lee Lopez "
    "Martínez Mbeki Meyer Moreau Müller Murphy Nguyen Nowak Ó·Brien Okafor Oliveira Park Patel Pereira Petrov "
    "Popescu Quispe Ramírez Reyes Romano Rossi Sato Schmidt Silva Singh Smith Sørensen Suzuki Tanaka Tran Varga "
    "Vega Wagner Walker Wang Weber Williams Yamamoto Yılmaz Zhang Zhou"
)
PROGRAMS = ["Biology", "Chemistry", "Computing", "Engineering", "Mathematics", "Medicine"]
COLUMNS = [
    "Student id", "First name", "Last name", "Email", "Program", "Tutorial", "Enrolled on", "Repeats the course",
    "Attendance %", "Videos watched", "Forum posts", "Days since last login", "Quiz 1", "Quiz 2", "Quiz 3",
    "Assignment 1", "Midterm", "Tutor's note",
]  # fmt: skip
NOTES = ["asked for more time", "wants to change group", "very good question in week 3", "speaks for the group"]


def rows(count: int = 500, seed: int = 2026) -> list[list[str]]:
    """Return `count` learners as rows of text under `COLUMNS`; an empty text is a missing value."""
    chance = random.Random(seed)
    taken: set[str] = set()
    return [_learner(chance, number, taken) for number in range(count)]


def _learner(chance: random.Random, number: int, taken: set[str]) -> list[str]:
    given, family = chance.choice(GIVEN.split()), chance.choice(FAMILY.split()).replace("·", "’")
    effort = min(max(chance.gauss(0.62, 0.2), 0.02), 1.0)
    gone = chance.random() < 0.05  # has left the course without saying so
    mark = _marks(chance, effort, gone)
    return [
        f"{4_000_000 + number * 7 + chance.randrange(7):08}",
        given,
        family,
        "" if number == 321 else _address(given, family, taken),
        chance.choice(PROGRAMS),
        f"T{chance.randint(1, 12):02}",
        (date(2026, 2, 2) + timedelta(days=chance.randrange(40))).isoformat(),
        "yes" if chance.random() < 0.08 else "no",
        "" if chance.random() < 0.03 else f"{min(100, max(0, chance.gauss(effort * 100, 12))):.0f}",
        f"{max(0, round(chance.gauss(effort * 24, 4)))}",
        "" if chance.random() < 0.3 else f"{int(chance.expovariate(1 / (effort * 5)))}",
        f"{chance.randint(20, 60) if gone else int(chance.expovariate(1 / (9 - 8 * effort)))}",
        *mark,
        chance.choice(NOTES) if chance.random() < 0.04 else "",
    ]


def _marks(chance: random.Random, effort: float, gone: bool) -> list[str]:
    """Three quizzes, an assignment and the midterm, out of 100; blanks where somebody did not take part."""
    marks: list[str] = []
    for spread, missing in ((14, 0.04), (15, 0.08), (16, 0.12), (12, 0.1), (11, 0.06)):
        absent = chance.random() < missing or (gone and len(marks) > 0)
        mark = min(100.0, max(0.0, chance.gauss(28 + effort * 62, spread)))
        marks.append("" if absent else f"{mark:.1f}" if spread == 12 else f"{mark:.0f}")
    return marks


def _address(given: str, family: str, taken: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", f"{given}.{family}".replace("ø", "o").replace("ı", "i").replace("Ó’", "O"))
    name = "".join(letter for letter in plain if letter.isascii() and (letter.isalnum() or letter == ".")).lower()
    number, address = 1, f"{name}@students.example"
    while address in taken:
        number += 1
        address = f"{name}{number}@students.example"
    taken.add(address)
    return address


def as_csv(count: int = 500, seed: int = 2026) -> bytes:
    """Return the course as a CSV file in UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows(count, seed))
    return text.getvalue().encode()
