"""Commands in a house: sentences from templates whose slots are filled with what is there, and the intents they mean."""

import json
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

from hassil.expression import Alternative, Group, ListReference, Permutation, RuleReference, TextChunk
from hassil.parse_expression import parse_sentence

from houses import House
from own import OWN
from words import SCENES

GENERIC = ["light", "switch", "fan", "media_player", "input_boolean", "climate", "humidifier", "siren", "remote", "automation", "water_heater", "camera"]
NAME_DOMAINS = {
    "HassTurnOn": GENERIC, "HassTurnOff": GENERIC, "HassLightSet": ["light"], "HassSetPosition": ["cover", "valve"], "HassFanSetSpeed": ["fan"],
    "HassClimateSetTemperature": ["climate"], "HassClimateGetTemperature": ["climate"], "HassClimateSetFanMode": ["climate"], "HassGetWeather": ["weather"],
    "HassListAddItem": ["todo"], "HassListCompleteItem": ["todo"], "HassListRemoveItem": ["todo"], "HassLawnMowerDock": ["lawn_mower"],
    "HassLawnMowerStartMowing": ["lawn_mower"], "HassVacuumStart": ["vacuum"], "HassVacuumReturnToBase": ["vacuum"], "HassVacuumCleanArea": ["vacuum"],
    "HassGetState": GENERIC + ["cover", "lock", "sensor", "binary_sensor", "valve", "vacuum", "lawn_mower", "timer", "number", "select"],
    **{f"HassMedia{x}": ["media_player"] for x in ("Next", "Pause", "Previous", "Unpause", "PlayerMute", "PlayerUnmute", "SearchAndPlay")},
    "HassSetVolume": ["media_player"], "HassSetVolumeRelative": ["media_player"],
}
WEIGHTS = dict(HassTurnOn=20, HassTurnOff=19, HassLightSet=13, HassGetState=20, HassClimateSetTemperature=5, HassClimateGetTemperature=4, HassClimateSetFanMode=1,
    HassSetPosition=5, HassStartTimer=6, HassCancelTimer=2, HassCancelAllTimers=0.8, HassIncreaseTimer=2, HassDecreaseTimer=2, HassTimerStatus=2, HassPauseTimer=1.3,
    HassUnpauseTimer=1.3, HassShoppingListAddItem=3.5, HassShoppingListCompleteItem=1.5, HassListAddItem=3, HassListCompleteItem=1.5, HassListRemoveItem=1.2,
    HassMediaNext=1.5, HassMediaPrevious=1.5, HassMediaPause=2, HassMediaUnpause=1.8, HassMediaPlayerMute=1.2, HassMediaPlayerUnmute=1.2, HassMediaSearchAndPlay=3.5,
    HassSetVolume=2.5, HassSetVolumeRelative=2.5, HassVacuumCleanArea=1.5, HassVacuumReturnToBase=1.5, HassVacuumStart=1.7, HassLawnMowerDock=0.8,
    HassLawnMowerStartMowing=0.8, HassFanSetSpeed=2, HassGetWeather=2, HassGetCurrentTime=1.3, HassGetCurrentDate=1.3, HassNevermind=1.2, HassBroadcast=1.3, HassRespond=1)
# Intents that a satellite's area belongs to where no place is said.
HERE = {"HassClimateGetTemperature", "HassClimateSetTemperature", "HassClimateSetFanMode", "HassFanSetSpeed", "HassSetVolume", "HassSetVolumeRelative", "HassMediaNext",
        "HassMediaPrevious", "HassMediaPause", "HassMediaUnpause", "HassMediaPlayerMute", "HassMediaPlayerUnmute", "HassMediaSearchAndPlay"}
EVERYWHERE = re.compile(r"\b(all|every|everywhere|everything|house|home|apartment|flat|any|anyone|anybody|whole|each|which|how many|who)\b")
ZONES = ["home", "home", "home", "not_home", "work", "school"]
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
RULES = {"the": "(the|the|the|the|my|our)", "turn": "(turn|turn|turn|switch|switch|put|change|bring)", "in": "(in|in|in|in|on|at|of|inside)"}
SKIP = re.compile(r"^\(do you know|1/2")


def spoken(value) -> str:
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10] + (f" {ONES[value % 10]}" if value % 10 else "")
    if value < 1000:
        rest = value % 100
        return f"{ONES[value // 100]} hundred" + (f" and {spoken(rest)}" if rest else "")
    return str(value)


@dataclass
class Block:
    intent: str
    slots: dict
    domains: list
    kinds: list
    here: bool
    rules: dict
    lists: dict
    sentences: list = field(default_factory=list)


@dataclass
class Drawn:
    """A sentence and what it means."""

    text: str
    commands: list
    everywhere: bool = False


class Impossible(Exception):
    """The house has nothing that the template speaks of."""


def as_list(value) -> list:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


class Templates:
    def __init__(self, files):
        self.blocks, self.rules, self.lists = {}, {}, {}
        for file in files:
            data = json.loads(Path(file).read_text())
            rules = {name: parse_sentence(text).expression for name, text in {**data["expansion_rules"], **RULES}.items()}
            self.rules.update(rules)
            self.lists.update({k: v for k, v in data["lists"].items() if v})
            for intent, body in data["intents"].items():
                if intent in WEIGHTS:
                    for block in body["data"]:
                        self.add(intent, block, rules, data["lists"])
        for key, sentences in OWN.items():
            intent, *rest = key.split()
            slots = dict(pair.split("=") for pair in rest if "=" in pair and pair.split("=")[0] not in ("on", "class"))
            needs = dict(pair.split("=") for pair in rest if pair.split("=")[0] in ("on", "class"))
            block = {"slots": slots, "requires_context": {"domain": needs["on"].split(",")} if "on" in needs else {}, "sentences": sentences}
            if "class" in needs:
                block["requires_context"]["device_class"] = needs["class"].split(",")
            if "here" in rest:
                block["requires_context"]["area"] = {"slot": True}
            for _ in range(2):
                self.add(intent, block, self.rules, self.lists)
        self.intents = list(self.blocks)
        self.weights = [WEIGHTS[intent] for intent in self.intents]

    def add(self, intent, block, rules, lists):
        needs = block.get("requires_context") or {}
        excluded = as_list((block.get("excludes_context") or {}).get("domain"))
        domains = [d for d in as_list(needs.get("domain")) or NAME_DOMAINS.get(intent, GENERIC) if d not in excluded]
        own = {name: parse_sentence(text).expression for name, text in (block.get("expansion_rules") or {}).items()}
        made = Block(intent, dict(block.get("slots") or {}), domains, as_list(needs.get("device_class")), "area" in needs, {**rules, **own}, lists)
        made.sentences = [parse_sentence(s).expression for s in block["sentences"] if not SKIP.search(s)]
        if made.sentences:
            self.blocks.setdefault(intent, []).append(made)

    def expand(self, node, block, rng):
        if isinstance(node, TextChunk):
            yield node.original_text
        elif isinstance(node, ListReference):
            yield node
        elif isinstance(node, RuleReference):
            yield from self.expand(block.rules[node.rule_name], block, rng)
        elif isinstance(node, Alternative):
            yield from self.expand(rng.choice(node.items), block, rng)
        elif isinstance(node, Permutation):
            for item in rng.sample(node.items, len(node.items)):
                yield " "
                yield from self.expand(item, block, rng)
        elif isinstance(node, Group):
            for item in node.items:
                yield from self.expand(item, block, rng)


class Speaker:
    """Says commands in one house."""

    def __init__(self, templates: Templates, house: House, rng: random.Random, heard: bool):
        self.templates, self.house, self.rng, self.names = templates, house, rng, house.names
        # Whether it is known in which area the sentence is heard.
        self.heard = heard

    def number(self, list_name: str, intent: str):
        """(said, value)"""
        rng = self.rng
        if list_name == "temperature":
            value = rng.randint(15, 28) if rng.random() < 0.75 else rng.randint(0, 100)
            if rng.random() < 0.12:
                return rng.choice([f"{value}.5", f"{spoken(value)} point five", f"{spoken(value)} and a half"]), value + 0.5
        elif list_name == "color_temperature":
            value = rng.randrange(1000, 10001, 100)
            return str(value), value
        elif list_name.startswith("timer_"):
            value = rng.choice((1, 2, 3, 5, 10, 15, 20, 30, 45)) if rng.random() < 0.5 else rng.randint(1, 12 if "hours" in list_name else 100)
        else:
            value = rng.randrange(0, 101, 10) if rng.random() < 0.5 else rng.randint(0, 100)
            if value == 50 and rng.random() < 0.2 and list_name in ("position", "brightness", "volume"):
                return "half", 50
        return (spoken(value) if rng.random() < 0.35 else str(value)), value

    def entity(self, block: Block, area=None, floor=None):
        found = self.house.of(block.domains, block.kinds)
        if area:
            found = [e for e in found if e.get("area") == area["id"]]
        if floor:
            found = [e for e in found if (self.house.area_of(e) or {}).get("floor") == floor["id"]]
        if not found:
            raise Impossible
        return self.rng.choice(found)

    def places(self, references, block):
        """Which area, floor and entity the sentence speaks of: they belong together."""
        wanted = {r.slot_name for r in references}
        area = floor = entity = None
        if "name" in wanted and block.slots.get("name") != "all":
            entity = self.entity(block)
            if "area" in wanted:
                area = self.house.area_of(entity)
                if area is None:
                    raise Impossible
            if "floor" in wanted:
                floor = self.house.floor_of(self.house.area_of(entity))
                if floor is None:
                    raise Impossible
        if "area" in wanted and area is None:
            area = self.rng.choice(self.house.areas)
        if "floor" in wanted and floor is None:
            if not self.house.floors:
                raise Impossible
            floor = self.rng.choice(self.house.floors)
        return entity, area, floor

    def slot(self, reference, block, entity, area, floor):
        """(said, gold)"""
        name, list_name, names, rng = reference.slot_name, reference.list_name, self.names, self.rng
        if name == "name" and list_name == "name":
            return self.house.said(entity), {"id": entity["id"]}
        if name in ("area", "preferred_area_id"):
            return self.house.said(area), {"id": area["id"]}
        if name == "floor":
            said = self.house.said(floor)
            return said[:-6] if said.lower().endswith(" floor") else said, {"id": floor["id"]}
        if list_name == "zone":
            zone = rng.choice(ZONES)
            return zone.replace("not_home", "away"), {"value": zone}
        texts = {"message": names.message, "search_query": self.query, "timer_name": names.timer, "shopping_list_item": names.item, "todo_list_item": names.task,
                 "timer_command": self.later, "item": names.item}
        if list_name in texts:
            said = texts[list_name]()
            return said, {"text": said}
        values = (block.lists.get(list_name) or self.templates.lists.get(list_name) or {}).get("values")
        if not values:
            said, value = self.number(list_name, block.intent)
            return said, {"number": value, **({"minus": True} if list_name == "volume_step_down" else {})}
        chosen = rng.choice(values)
        if isinstance(chosen, str):
            return chosen, {"value": chosen}
        said = "".join(self.templates.expand(parse_sentence(chosen["in"]).expression, block, rng)).strip()
        number = isinstance(chosen["out"], (int, float)) and not isinstance(chosen["out"], bool)
        return said, {"number": chosen["out"], "word": said} if number else {"value": str(chosen["out"])}

    def query(self) -> str:
        rng = self.rng
        known = ["jazz", "the beatles", "some rock", "queen", "christmas songs", "bohemian rhapsody", "news", "the daily", "classical music", "abba", "miles davis", "star wars"]
        return rng.choice(known) if rng.random() < 0.35 else self.names.query()

    def later(self) -> str:
        rng, on = self.rng, self.rng.choice(("on", "off"))
        area, lights = rng.choice(self.house.areas), self.house.of(["light", "switch", "cover"])
        forms = [f"turn {on} the {self.house.said(area)} lights", f"open the {self.house.said(area)} blinds"]
        if lights:
            forms += [f"turn {on} the {self.house.said(rng.choice(lights))}", f"switch the {self.house.said(rng.choice(lights))} {on}"]
        return rng.choice(forms)

    def command(self, intent=None) -> Drawn:
        """One clean command; throws Impossible."""
        rng, templates = self.rng, self.templates
        intent = intent or rng.choices(templates.intents, templates.weights)[0]
        block = rng.choice(templates.blocks[intent])
        pieces = list(templates.expand(rng.choice(block.sentences), block, rng))
        references = [p for p in pieces if isinstance(p, ListReference)]
        entity, area, floor = self.places(references, block)
        slots, text = {}, ""
        for piece in pieces:
            if isinstance(piece, ListReference):
                said, gold = self.slot(piece, block, entity, area, floor)
                if piece.slot_name in slots and slots[piece.slot_name] != gold:
                    raise Impossible
                slots[piece.slot_name] = gold
                text += said
            else:
                text += piece
        text = re.sub(r"-(hour|minute|second)", r" \1", " ".join(text.split()))
        everywhere = bool(EVERYWHERE.search(text))
        return Drawn(text, [{"intent": intent, "slots": self.meaning(block, slots, text, everywhere)}], everywhere)

    def meaning(self, block: Block, said: dict, text: str, everywhere: bool) -> dict:
        slots = {key: {"value": value} for key, value in block.slots.items() if not (key == "name" and value == "all")}
        for key in ("brightness", "position", "percentage", "volume_level"):
            if key in slots and str(slots[key]["value"]).isdigit():
                slots[key] = {"number": int(slots[key]["value"]), "word": None}
        slots.update({("area" if key == "preferred_area_id" else key): gold for key, gold in said.items()})
        if "name" in slots:
            for key in ("domain", "device_class"):
                slots.pop(key, None)
        intent = block.intent
        if intent == "HassLightSet" and "name" not in slots:
            slots["domain"] = {"value": "light"}
        placed = any(key in slots for key in ("name", "area", "floor"))
        if not placed and self.heard and not everywhere and (block.here or intent in HERE or "domain" in slots) and intent not in ("HassGetWeather",):
            if intent != "HassGetState" or block.here or re.search(r"\b(here|this room)\b", text):
                slots["area"] = {"value": "here"}
        return slots
