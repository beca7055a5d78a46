"""
Sentences in made-up houses, one house a line with its sentences and what they mean:

    {"house": {…}, "sentences": [{"text", "area": id or null, "commands": [{"intent", "slots": {"name": {"id"}, "brightness": {"number"}, …}}]}]}

encode.ts turns them into tokens by the runtime's own code.
"""

import argparse
import json
import random
from multiprocessing import Pool
from pathlib import Path

from houses import House
from noise import ending, letter_case, polite, typos
from sentences import Impossible, Speaker, Templates
from twists import TWISTS

PER_HOUSE = 14
PLAIN = 0.56

templates = None


def dress(drawn, speaker, rng):
    """The noise of people and recognisers around a sentence."""
    text = polite(drawn.text, rng, False) if rng.random() < 0.5 else drawn.text
    if rng.random() < 0.1:
        text = typos(text, rng)
    if rng.random() < 0.06:
        text = text.upper()
    return ending(letter_case(text, rng), rng, False)


def sentence(house, rng):
    heard = rng.random() < 0.5
    speaker = Speaker(templates, house, rng, heard)
    while True:
        try:
            if rng.random() < PLAIN:
                drawn = speaker.command()
            else:
                drawn = rng.choices([t for t, _ in TWISTS], [w for _, w in TWISTS])[0](speaker)
        except Impossible:
            continue
        if not drawn.text or len(drawn.text) > 150:
            continue
        area = rng.choice(house.areas)["id"] if heard else None
        return {"text": dress(drawn, speaker, rng), "area": area, "commands": drawn.commands}


def line(seed):
    rng = random.Random(seed)
    house = House(rng)
    return json.dumps({"house": house.document(), "sentences": [sentence(house, rng) for _ in range(PER_HOUSE)]}, ensure_ascii=False)


def start(files):
    global templates
    templates = Templates(files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--templates", nargs="+", required=True, help="en.json of home-assistant-intents, one or more versions")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--houses", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    with options.out.open("w") as out, Pool(options.processes, start, (options.templates,)) as pool:
        for text in pool.imap(line, range(options.seed * 10_000_000, options.seed * 10_000_000 + options.houses), chunksize=8):
            out.write(text + "\n")
