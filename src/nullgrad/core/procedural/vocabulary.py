"""The words that generated webs of lies are made of, each of them single in its list."""

from __future__ import annotations

_NAMES = """
Abel Adele Akira Alba Alma Anders Anouk Arjun Astrid Beatriz Benno Birgit Bruno Carmen Cecilia Chidi Clara
Conrad Cosima Dagny Damian Daria Diego Edda Eduardo Elif Elsa Emil Esra Eva Fabio Fatima Felix Fiona
Franka Gabor Gemma Giulia Greta Gustav Hana Hector Helga Hugo Ida Ilse Imran Ines Ivo Jasmin Jens Joana
Jonas Judit Kamal Karin Kenji Klara Lars Laszlo Leila Linus Lotte Lucia Magda Malik Marek Mei Mila Nadim
Nils Noor Olga Otis Paula Pavel Petra Quentin Rafael Renata Rosa Rufus Sabine Samir Selma Sven Tariq Tilda
Tomas Ulrike Ursula Valentin Vera Walter Wanda Xenia Yara Yusuf Zelda Zoltan
"""

_PLACES = """
abbey, airfield, antique shop, apiary, archive, arena, bakery, ballroom, bank, barn, bathhouse, boat yard,
bookbindery, brewery, bridge, bus depot, butcher shop, cable car, canteen, car wash, castle, cathedral,
chapel, cheese shop, circus, clinic, coal mine, concert hall, courthouse, dairy, dance studio, dentist,
distillery, dockyard, dog park, drugstore, embassy, factory, fair, ferry, fire station, fish market, flea
market, flower shop, forge, fountain, garage, glassworks, greenhouse, grocery, hair salon, harbor,
hardware store, hill fort, hospital, ice house, inn, jail, kennel, kiosk, kitchen, laboratory, laundry,
library, lighthouse, lumber mill, marina, meadow, monastery, mosque, newsroom, nursery, opera house,
orchard, paddock, palace, pier, pizzeria, plaza, pottery, power plant, print shop, quarry, racecourse,
radio station, repair shop, riverbank, sauna, sawmill, shipyard, stable, swimming pool, synagogue, tailor,
tea house, temple, tennis court, town gate, tram stop, watermill
"""

NAMES: tuple[str, ...] = tuple(_NAMES.split())

PLACES: tuple[str, ...] = tuple(" ".join(place.split()) for place in _PLACES.split(","))

SIGHTS: tuple[str, ...] = (
    "red kite",
    "snow plough",
    "brass band",
    "stray cat",
    "paper lantern",
    "double rainbow",
)

OUTSIDERS: tuple[str, ...] = ("cousin", "dentist", "landlord", "teacher", "boss", "barber")
"""People who are not in the puzzle, so that what is thought of them tells nothing."""
