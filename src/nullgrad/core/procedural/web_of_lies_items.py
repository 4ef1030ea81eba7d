"""Generated webs of lies: a chain of people whose truth is determined, hung on pairs whose truth is not.

Two surface cues of the published items are known. There, the initial of a name gives away who is unknown (M or O);
here names and the order of people in a claim are random. A claim about a single person points to unknown in both;
that is the form's, and fades as `cycles` goes down.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from nullgrad.core.draws import stream
from nullgrad.core.procedural.dials import Dial, Item, flags
from nullgrad.core.procedural.vocabulary import NAMES, OUTSIDERS, PLACES, SIGHTS
from nullgrad.core.procedural.web_of_lies import TRIPLE_CLAIMS
from nullgrad.errors import UserError

ASSUMPTION = "In this puzzle, every person either always tells the truth or always lies."

DIALS: Mapping[str, Dial] = {
    "unknown": Dial(0.35, 0.0, 1.0, "share of items whose middle answer is unknown (0.35 in BBEH)"),
    "people": Dial(60, 6, 90, "people in an item, each item exactly that many (32 to 90 in BBEH)"),
    "cycles": Dial(
        0.85,
        0.0,
        1.0,
        "share of the links of the chain that rest on a pair of people whose truth cannot be determined; an item "
        "whose middle answer is unknown has at least one such pair (0.86 in BBEH)",
    ),
    "places": Dial(
        0.0,
        0.0,
        1.0,
        "share of items that tell people by places instead of names; everything is determined there, so that "
        "`unknown` and `places` sum to at most 1 (0.2 in BBEH, with 7 to 20 people)",
    ),
}


def plan(n: int, seed: int, dials: Mapping[str, float]) -> list[str]:
    """What each of `n` items is to be: `unknown`, `known` or `places`, in random order, with exact shares.

    Raises:
        UserError: the shares of `unknown` and `places` exceed 1.
    """
    unknown, places = dials["unknown"], dials["places"]
    if unknown + places > 1 + 1e-9:
        raise UserError(
            f"The dials unknown ({unknown}) and places ({places}) of web-of-lies sum to more than 1.",
            "Nothing was generated, because items told by places have no unknown answer.",
            "Lower one of them.",
        )
    draws = stream("procedural", "web-of-lies", seed, "plan")
    middle = flags(unknown, n, draws)
    rest = middle.count(False)
    by_place = flags(min(places * n / rest, 1.0) if rest else 0.0, rest, draws)
    return ["unknown" if flag else "places" if by_place.pop() else "known" for flag in middle]


def item(kind: str, dials: Mapping[str, float], draws: random.Random) -> Item:
    """One item of a kind that `plan` names."""
    people = int(dials["people"])
    if kind == "places":
        return _told_by_places(people, draws)
    return _told_by_names(people, dials["cycles"], kind == "unknown", draws)


@dataclass(slots=True)
class _Web:
    """A web in the making.

    Attributes:
        chain: names in the order of the chain, each with whether the person tells the truth.
        loose: names whose truth cannot be determined.
    """

    draws: random.Random
    names: list[str]
    sentences: list[str] = field(default_factory=list)
    chain: list[tuple[str, bool]] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)

    def root(self) -> None:
        """A person of whom the truth is stated."""
        name, truth = self._newcomer()
        self.sentences.append(f"{name} {_verb(truth)}.")

    def direct_link(self) -> None:
        """A newcomer speaks about the chain's last person: one person more."""
        known, known_truth = self.chain[-1]
        name, truth = self._newcomer()
        self.sentences.append(f"{name} says {known} {_verb(truth == known_truth)}.")

    def pair_link(self, silent: bool) -> None:
        """A newcomer speaks about the chain's last person and a pair: three people more, four with a silent one.

        The pair agree or differ, and nothing says which of them tells the truth; only claims whose truth does
        not depend on that are made about them.
        """
        known, known_truth = self.chain[-1]
        one, other = self.names.pop(), self.names.pop()
        agree = not silent and self.draws.random() < 0.5
        if silent:
            third = self.names.pop()
            self.loose.append(third)
            self.sentences += [f"{one} says {third} tells the truth.", f"{other} says {third} lies."]
        else:
            verb = _verb(agree)
            self.sentences += [f"{one} says {other} {verb}.", f"{other} says {one} {verb}."]
        self.loose += [one, other]
        name, truth = self._newcomer()
        trio = [known, one, other]
        self.draws.shuffle(trio)
        claim = self.draws.choice(_claims(known_truth, agree, truth))
        self.sentences.append(f"{name} says {claim.format('{}, {} and {}'.format(*trio))}.")

    def _newcomer(self) -> tuple[str, bool]:
        self.chain.append((self.names.pop(), self.draws.random() < 0.5))
        return self.chain[-1]


def _told_by_names(people: int, cycles: float, unknown: bool, draws: random.Random) -> Item:
    web = _Web(draws, draws.sample(NAMES, people))
    web.root()
    links = _links(people - 1, cycles, unknown, draws)
    for silent in links:
        if silent is None:
            web.direct_link()
        else:
            web.pair_link(silent)
    candidates = web.chain[1:] if len(web.chain) > 3 else web.chain
    asked = draws.sample(candidates, 3)
    answers = ["yes" if truth else "no" for _, truth in asked]
    names = [name for name, _ in asked]
    if unknown:
        names[1], answers[1] = draws.choice(web.loose), "unknown"
    draws.shuffle(web.sentences)
    question = f"Do {names[0]}, {names[1]}, and {names[2]} tell the truth?"
    return Item(" ".join([ASSUMPTION, *web.sentences, question]), ", ".join(answers))


def _links(people: int, cycles: float, unknown: bool, draws: random.Random) -> list[bool | None]:
    """The links that take exactly `people`: None direct (1), False a pair (3), True a pair and a silent one (4)."""
    cost = 1 - cycles + cycles * 10 / 3
    pairs = max(round(cycles * people / cost), 1 if unknown else 0)
    links: list[bool | None] = []
    for _ in range(pairs):
        silent = people >= 4 and draws.random() < 1 / 3
        if people >= 3:
            people -= 4 if silent else 3
            links.append(silent)
    links += [None] * people
    draws.shuffle(links)
    return links


def _claims(known: bool, agree: bool, truth: bool) -> list[str]:
    """The claims about a known person and a pair that are `truth` whichever of the pair tells the truth."""
    counts = (known, known + 2) if agree else (known + 1,)
    return [
        claim for claim, when in TRIPLE_CLAIMS.items() if all((count in when) == truth for count in counts)
    ]


def _told_by_places(people: int, draws: random.Random) -> Item:
    places = draws.sample(PLACES, people)
    truth = {place: draws.random() < 0.5 for place in places}
    facts = draws.randint(1, people // 3)
    sentences = [f"The person at the {place} {_verb(truth[place])}." for place in places[:facts]]
    for number in range(facts, people):
        speaker, about = places[number], places[draws.randrange(number)]
        if draws.random() < 0.5:
            speaker, about = about, speaker
        verb = _verb(truth[speaker] == truth[about])
        sentences.append(f"The person at the {speaker} says the person at the {about} {verb}.")
    names = draws.sample(NAMES, people)
    sentences += [f"{name} is at the {place}." for name, place in zip(names, places, strict=True)]
    sentences += [_idle(draws.choice(places), draws) for _ in range(draws.randint(0, 4))]
    draws.shuffle(sentences)
    asked = draws.sample(places[facts:], 3)
    questions = [f"Does the person at the {place} tell the truth?" for place in asked]
    return Item(
        " ".join([ASSUMPTION, *sentences, *questions]),
        ", ".join("yes" if truth[place] else "no" for place in asked),
    )


def _idle(place: str, draws: random.Random) -> str:
    if draws.random() < 0.5:
        return f"The person at the {place} saw a {draws.choice(SIGHTS)}."
    opinion = draws.choice(("is lying", "is telling the truth"))
    return f"The person at the {place} thinks their {draws.choice(OUTSIDERS)} {opinion}."


def _verb(truth: bool) -> str:
    return "tells the truth" if truth else "lies"
