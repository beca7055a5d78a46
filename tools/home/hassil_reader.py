"""
Home Assistant's own parser beside PiPhi: reads one JSON document {"text", "area"?} a line, prints one {"intents", "ms"} a line.

It does what Home Assistant's default agent does: names, areas and floors become slot lists (aliases too), each name carries its domain and device class
for `requires_context` and `excludes_context`, names that the sentence does not hold are filtered out first, the satellite's area is the context, and the
best strict match wins. Names that the house does not have would only lead to an error, so they are not tried.
"""

import argparse
import json
import sys
import time
from importlib.metadata import version

import yaml
from hassil import Intents, recognize_best
from hassil.intents import TextSlotList
from hassil.trie import Trie
from hassil.util import remove_punctuation
from home_assistant_intents import get_intents


def names_of(thing: dict) -> list:
    return [name.strip() for name in [thing["name"], *thing.get("aliases", [])] if name.strip()]


def name_list(house: dict) -> TextSlotList:
    """Every entity's names, with the context that Home Assistant gives them."""
    tuples = []
    for entity in house["entities"]:
        context = {"domain": entity["id"].split(".")[0]}
        if entity.get("device_class"):
            context["device_class"] = entity["device_class"]
        tuples += [(name, name, context) for name in names_of(entity)]
    return TextSlotList.from_tuples(tuples, allow_template=False)


class Reader:
    def __init__(self, house: dict):
        self.house = house
        self.intents = Intents.from_dict(get_intents("en"))
        areas = [(name, name) for area in house["areas"] for name in names_of(area)]
        floors = [(name, floor["name"]) for floor in house["floors"] for name in names_of(floor)]
        self.lists = {
            "area": TextSlotList.from_tuples(areas, allow_template=False),
            "floor": TextSlotList.from_tuples(floors, allow_template=False),
        }
        self.names = Trie()
        for value in name_list(house).values:
            self.names.insert(remove_punctuation(value.text_in.text).strip().lower(), value)

    def area_name(self, given: str):
        wanted = given.strip().casefold()
        for area in self.house["areas"]:
            if wanted in [area["id"].casefold(), *(name.casefold() for name in names_of(area))]:
                return area["name"]
        return None

    def read(self, text: str, area: str) -> list:
        found = self.names.find(remove_punctuation(text).strip().lower())
        lists = {**self.lists, "name": TextSlotList(name="name", values=[value for _, _, value in found])}
        here = self.area_name(area) if area else None
        context = {"area": {"value": here, "text": here}} if here else None
        result = recognize_best(
            text, self.intents, slot_lists=lists, intent_context=context, language="en",
            best_metadata_key="hass_custom_sentence", best_slot_name="name")
        if result is None:
            return []
        return [{"name": result.intent.name, "slots": {name: slot.value for name, slot in result.entities.items()}}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("house", nargs="?", help="house.yaml")
    parser.add_argument("--version", action="store_true", help="print the versions of hassil and home-assistant-intents")
    options = parser.parse_args()
    if options.version:
        print(f"hassil {version('hassil')}, home-assistant-intents {version('home-assistant-intents')}")
        return
    with open(options.house, encoding="utf-8") as file:
        reader = Reader(yaml.safe_load(file))
    reader.read("turn on the light", "")  # parses the templates, which Home Assistant does at its start
    for line in sys.stdin:
        given = json.loads(line)
        start = time.perf_counter()
        intents = reader.read(given["text"], given.get("area", ""))
        ms = (time.perf_counter() - start) * 1000
        print(json.dumps({"intents": intents, "ms": ms}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
