"""Sentence templates: those of home-assistant-intents (CC BY 4.0) that are kept, and paraphrases of our own."""

import json
import re
import zlib
from dataclasses import dataclass
from importlib import resources

from hassil.expression import Alternative, Group, ListReference, Permutation, RuleReference, TextChunk
from hassil.parse_expression import parse_sentence

from paraphrases import PARAPHRASES

# Share of the command examples that each intent gets.
WEIGHTS = dict(
    HassTurnOn=20, HassTurnOff=18, HassLightSet=14, HassGetState=9, HassClimateSetTemperature=5, HassClimateGetTemperature=4,
    HassSetPosition=4, HassStartTimer=6, HassCancelTimer=1.5, HassCancelAllTimers=0.7, HassIncreaseTimer=1.5,
    HassDecreaseTimer=1.5, HassTimerStatus=1.5, HassPauseTimer=1, HassUnpauseTimer=1, HassShoppingListAddItem=4,
    HassShoppingListCompleteItem=1.5, HassListAddItem=2.5, HassListCompleteItem=1, HassListRemoveItem=1, HassMediaNext=1.2,
    HassMediaPrevious=1.2, HassMediaPause=1.5, HassMediaUnpause=1.5, HassMediaPlayerMute=1, HassMediaPlayerUnmute=1,
    HassMediaSearchAndPlay=3, HassSetVolume=2, HassSetVolumeRelative=2, HassVacuumCleanArea=1.2, HassVacuumReturnToBase=1,
    HassVacuumStart=1.2, HassLawnMowerDock=0.4, HassLawnMowerStartMowing=0.4, HassFanSetSpeed=1.5, HassGetWeather=2,
    HassGetCurrentTime=1.2, HassGetCurrentDate=1.2, HassNevermind=1, HassBroadcast=1)

# More natural shares for words that the package lists with equal weight.
RULES = {
    "the": "(the|the|the|the|my|our)",
    "turn": "(turn|turn|switch|switch|put|bring|change)",
    "in": "(in|in|in|in|on|at|of|inside)",
    "is": "(is|are) [(the|the|my|our|there)]",
    "all": "(all [[of] (the|my|our)]|every)",
    "what_is": "(what's|whats|what is|what is|tell me)",
}
# Readings that cannot be told apart without knowing the house, and a few unnatural ones.
UNCLEAR = [
    r"\{area\} (\[<the>\] )?\{name\}",
    r"\{name\} <light>",
    r"^\[<the>\] \{name\}( on)?$",
    r"\{name\} \[scene\]",
    r"\{name\} \[script\]",
    r"^<how_is> \[<the>\] \{name\}$",
    r"^\(do you know",
    r"^<clean> \[<the>\] \{floor\}",
    r"return to \[the\]",
    r"\{zone",
    r"^<where_is>",
    r"^where can I",
    r"timer_command.*(hours|seconds).*(minutes|seconds)",
    r"^skip",
    r"pause;",
    r"resume\);",
    r"^stop \[playing\] \[",
    r"^\(\[<the>\] \{name\};volume",
    r"^\[<the>\] \{name\} <in> .* on$",
    r"1/2",
]
SINGLE = {"light", "cover", "lock", "scene", "script", "button"}


@dataclass
class Family:
    """Templates that give the same slots."""

    intent: str
    slots: dict
    domains: list
    sentences: list


def domain_kinds(needs: dict) -> list:
    domains = (needs or {}).get("domain", [])
    return [domains] if isinstance(domains, str) else list(domains)


def package_groups(data: dict):
    for intent, body in data["intents"].items():
        if intent not in WEIGHTS:
            continue
        for block in body["data"]:
            domains = domain_kinds(block.get("requires_context"))
            if set(domains) & {"valve", "binary_sensor", "person"} and len(domains) < 3 and "cover" not in domains:
                continue
            if intent == "HassLawnMowerDock" and domains or intent == "HassLawnMowerStartMowing" and domains:
                continue
            slots = dict(block.get("slots", {}))
            if slots.get("domain") == "person":
                continue
            kinds = [d for d in domains if d not in ("valve", "input_button")]
            if len(kinds) == 1 and kinds[0] in SINGLE and intent in ("HassTurnOn", "HassTurnOff", "HassGetState", "HassLightSet"):
                slots["domain"] = kinds[0]
            sentences = [s for s in block["sentences"] if not any(re.search(u, s) for u in UNCLEAR)]
            if sentences:
                yield Family(intent, slots, kinds, sentences)


def own_groups():
    kinds = {"HassClimateSetTemperature": "climate", "HassVacuumStart": "vacuum", "HassVacuumReturnToBase": "vacuum", "HassSetPosition": "cover"}
    for key, sentences in PARAPHRASES.items():
        intent, *rest = key.split()
        slots = dict(pair.split("=") for pair in rest if "=" in pair)
        kind = slots.get("domain", kinds.get(intent))
        yield Family(intent, slots, [kind] if kind and "name" in rest else [], sentences)


def on_side(sentences: list, heldout: bool) -> list:
    """Of the groups with four templates or more, about one template in eight is held out."""
    if len(sentences) < 4:
        return sentences
    reserved = [s for s in sentences if zlib.crc32(s.encode()) % 8 == 0][: len(sentences) // 3]
    return (reserved or sentences) if heldout else [s for s in sentences if s not in reserved]


class Templates:
    def __init__(self, heldout: bool):
        self.data = json.loads((resources.files("home_assistant_intents") / "data" / "en.json").read_text())
        self.rules = {name: self.parse(text) for name, text in {**self.data["expansion_rules"], **RULES}.items()}
        self.groups = {}
        for group in [*package_groups(self.data), *own_groups()]:
            group.sentences = [self.parse(s) for s in on_side(group.sentences, heldout)]
            self.groups.setdefault(group.intent, []).append(group)
        self.intents = list(self.groups)
        self.weights = [WEIGHTS[intent] for intent in self.intents]

    @staticmethod
    def parse(text: str):
        return parse_sentence(text).expression

    def draw(self, rng):
        group = rng.choice(self.groups[rng.choices(self.intents, self.weights)[0]])
        return group, list(self.expand(rng.choice(group.sentences), rng))

    def expand(self, node, rng):
        """Yields plain text and ListReferences of one random reading."""
        if isinstance(node, TextChunk):
            yield node.original_text
        elif isinstance(node, ListReference):
            yield node
        elif isinstance(node, RuleReference):
            yield from self.expand(self.rules[node.rule_name], rng)
        elif isinstance(node, Alternative):
            yield from self.expand(rng.choice(node.items), rng)
        elif isinstance(node, Permutation):
            for item in rng.sample(node.items, len(node.items)):
                yield " "
                yield from self.expand(item, rng)
        elif isinstance(node, Group):
            for item in node.items:
                yield from self.expand(item, rng)
