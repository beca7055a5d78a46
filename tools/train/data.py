"""Examples: an English sentence and the intent it means, as compact JSON."""

import argparse
import json
import random
import re
from pathlib import Path

from hassil.expression import ListReference

from noise import ending, letter_case, polite, typos
from refusals import refusal
from templates import Templates
from words import NOUNS, Names

HERE = Path(__file__).parent
ORDER = ["intent", "name", "area", "floor", "domain"]
NONE = {"intent": "none"}
REFUSALS = 0.2
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
QUESTION = re.compile(r"^(what|who|how|is|are|when|which|why|where|will|do|does|did|can|could|would)\b")
PREPOSITION = r"\b(in|on|at|of|inside) ((the|my|our) )?"
PLURAL = r" (lights|fans|blinds|curtains|shades|shutters|awnings|switches|plugs|outlets)\b"


def compact(intent: dict) -> str:
    return json.dumps(intent, separators=(",", ":"), ensure_ascii=False)


def spoken(value: int) -> str:
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10] + (f" {ONES[value % 10]}" if value % 10 else "")
    return "one hundred" if value == 100 else str(value)


class Examples:
    def __init__(self, seed: int, heldout: bool, avoid: frozenset = frozenset()):
        self.rng = random.Random(f"{seed} {heldout}")
        self.heldout, self.avoid = heldout, avoid
        self.names = Names(self.rng, heldout)
        self.templates = Templates(heldout)
        self.texts = {"message": self.names.message, "search_query": self.names.query, "timer_name": self.names.timer,
                      "shopping_list_item": self.names.item, "todo_list_item": self.names.task, "timer_command": self.command}

    def command(self) -> str:
        names, on = self.names, self.rng.choice(("on", "off"))
        area = names.area()[0]
        return self.rng.choice([f"turn {on} the {area} lights", f"turn {on} the {names.device('')}", f"switch {on} {names.device('')}",
                                f"close the {area} blinds", f"open the {names.device('cover')}", f"lock the {names.device('lock')}"])

    def number(self, name: str):
        """(said, value) for the number lists."""
        rng = self.rng
        if name == "temperature":
            value = rng.randint(15, 28) if rng.random() < 0.8 else rng.randint(0, 100)
            if rng.random() < 0.12:
                return rng.choice([(f"{value}.5", value + 0.5), (f"{value} and a half", value + 0.5)])
        elif name == "color_temperature":
            value = rng.randrange(1000, 10001, 100)
            return str(value), value
        elif name.startswith("timer_"):
            value = rng.choice((1, 2, 3, 5, 10, 15, 20, 30, 45)) if rng.random() < 0.4 else rng.randint(1, 12 if name == "timer_hours" else 100)
        else:
            value = rng.randrange(0, 101, 10) if rng.random() < 0.4 else rng.randint(0, 100)
        said = spoken(value) if rng.random() < 0.3 else str(value)
        return said, -value if name == "volume_step_down" else value

    def slot(self, ref: ListReference, family):
        """(said, value, kind); a value of None is copied as said."""
        name = ref.list_name
        if name == "area":
            said, kind = self.names.area()
            return said, None, kind
        if name == "floor":
            return self.names.floor(), None, "floor"
        if name == "name":
            domain = self.rng.choice(family.domains or [""])
            if domain == "cover" and family.intent == "HassGetState" and self.rng.random() < 0.15 and not self.heldout:
                return self.rng.choice(NOUNS["cover"]), None, "name"
            return self.names.device(domain), None, "name"
        if name in self.texts:
            return self.texts[name](), None, "text"
        values = self.templates.data["lists"][name].get("values")
        if not values:
            return *self.number(name), "number"
        chosen = self.rng.choice(values)
        said = "".join(self.templates.expand(self.templates.parse(chosen["in"]), self.rng)).strip()
        return said, chosen["out"], "value"

    def raw(self):
        """(text with a private-use character for each slot, slots, fixed slots, intent)"""
        family, pieces = self.templates.draw(self.rng)
        slots, text = [], ""
        for piece in pieces:
            if isinstance(piece, ListReference):
                text += chr(0xE000 + len(slots))
                slots.append([piece.slot_name, *self.slot(piece, family)])
            else:
                text += piece
        if self.rng.random() < 0.8:
            text = re.sub("-(hour|minute|second)", r" \1", text)
        return " ".join(text.split()), slots, family

    def unclear(self, plain: str, slots: list, family) -> bool:
        """Sentences whose reading only the house could settle."""
        for slot, said, _, kind in slots:
            if kind == "free":
                name = re.escape(said)
                if not re.search(f"{PREPOSITION}{name}(?! (lamp|timer))|{name}{PLURAL}", plain):
                    return True
            if slot in ("search_query", "item", "message") and re.search(r"\b(in|on|to|list)\b", said):
                return True
        intent = family.intent
        if intent == "HassLightSet" and not re.search(r"bright|%|percent|light|lamp|dim|colou?r|temperature|paint|kelvin", plain):
            return not any(s[0] == "color" for s in slots)
        return intent.startswith("HassList") and "list" not in plain or len(plain) > 110

    def sentence(self):
        """One clean command; None when the draw is not usable."""
        text, slots, family = self.raw()
        for i, (slot, said, _, kind) in enumerate(slots):
            mark = chr(0xE000 + i)
            if kind == "floor":  # `first floor` means floor `first`; upstairs needs no noun
                text = text.replace(f"{mark} floor", mark)
                if said.endswith(" floor"):
                    slots[i][1] = said[:-6]
                    text = text.replace(mark, f"{mark} floor")
        plain = self.fill(text, slots)
        return None if self.unclear(plain, slots, family) else (text, slots, family)

    @staticmethod
    def fill(text: str, slots: list) -> str:
        for i, slot in enumerate(slots):
            text = text.replace(chr(0xE000 + i), slot[1])
        return text

    def dress(self, text: str, slots: list, question: bool) -> str:
        rng = self.rng
        text = polite(text, rng, self.heldout)
        if rng.random() < 0.12:
            text = typos(text, rng)
        kind = rng.random()
        for slot in slots:  # names keep the case they are typed in
            if slot[2] is None and kind < 0.06:
                slot[1] = slot[1].title() if "'" not in slot[1] else slot[1].capitalize()
        if text and text[0] >= "\ue000" and 0.06 <= kind < 0.2:
            slots[ord(text[0]) - 0xE000][1] = slots[ord(text[0]) - 0xE000][1].capitalize()
        return ending(letter_case(text, rng), rng, question)

    def home(self):
        while True:
            drawn = self.sentence()
            if drawn:
                break
        text, slots, family = drawn
        text = self.dress(text, slots, bool(QUESTION.match(text)))
        intent = {"intent": family.intent, **family.slots}
        for slot, said, value, _ in slots:
            intent[slot] = said if value is None else value
        keys = [k for k in ORDER if k in intent] + sorted(k for k in intent if k not in ORDER)
        return self.fill(text, slots), {k: intent[k] for k in keys}

    def draw(self):
        while True:
            if self.rng.random() < REFUSALS:
                text = refusal(self.rng, self.names, self.heldout)
                text, intent = self.dress(text, [], bool(QUESTION.match(text))), NONE
            else:
                text, intent = self.home()
            if plain(text) not in self.avoid:
                return text, compact(intent)


def plain(text: str) -> str:
    return re.sub(r"[^\w ]", "", text.lower()).strip()


def training_set(seed: int, count: int) -> list:
    source = Examples(seed, heldout=False)
    return [source.draw() for _ in range(count)]


def heldout_set(seed: int, count: int, training: list) -> list:
    """Different names, different templates, and no sentence that occurs in training."""
    source = Examples(seed, heldout=True, avoid=frozenset(plain(text) for text, _ in training))
    rows = {}
    while len(rows) < count:
        text, intent = source.draw()
        rows.setdefault(text, intent)
    return list(rows.items())


def write_rows(path: Path, rows: list):
    path.write_text("".join(json.dumps({"text": t, "intent": i}, ensure_ascii=False) + "\n" for t, i in rows))


def read_rows(path: Path) -> list:
    return [(row["text"], row["intent"]) for row in map(json.loads, path.read_text().splitlines())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for train.jsonl and heldout.jsonl")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=400_000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    training = training_set(options.seed, options.count)
    heldout = heldout_set(options.seed, 2000, training)
    write_rows(options.out / "train.jsonl", training)
    write_rows(options.out / "heldout.jsonl", heldout)
    write_rows(HERE / "heldout.jsonl", heldout[:300])
