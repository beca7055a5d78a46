"""Writes runtime/home/catalogue.json and runtime/home/responses.json: what Home Assistant's intents take, and what is said of them.

    pip download --no-deps home-assistant-intents==2026.10.27 home-assistant-intents==2026.5.5
    pip download --no-deps --python-version 3.14 --only-binary=:all: homeassistant
    pip install -r tools/train/requirements.txt
    python tools/home/catalogue.py INTENTS.whl CLASSES.whl HOMEASSISTANT.whl

INTENTS.whl is the newest home-assistant-intents. CLASSES.whl is its last version whose English templates ask for sensors by
their class ("is any battery low"). HOMEASSISTANT.whl names the domains, their device classes and their states.
"""

import argparse
import json
import re
import zipfile
from pathlib import Path

from hassil.parse_expression import parse_sentence
from hassil.sample import sample_expression

OUT = Path(__file__).resolve().parents[2] / "runtime/home"
LANGUAGE = "en"
LIST = re.compile(r"\{([a-z_]+)(?::([a-z_]+))?\}")
RULE = re.compile(r"<([a-z_]+)>")

# What a number counts, where its list does not say so.
UNITS = {
    "HassLightSet.temperature": "K", "HassClimateSetTemperature.temperature": "°",
    **{f"{start}{unit}": unit for start in ("", "start_") for unit in ("hours", "minutes", "seconds")},
}
# Slots whose values are the house's; `name` stands for a timer's own name where timers are meant.
OF_THE_HOUSE = {"name", "area", "floor", "domain", "device_class", "state"}
# Domains that are no devices of a house, but can be named.
MORE_DOMAINS = ["person", "zone", "scene", "script", "automation", "todo", "weather", "button", "input_button", "input_boolean"]


def words(template):
    """All wordings of a template of a list's value, the shortest first."""
    found = {" ".join(text.split()) for text in sample_expression(parse_sentence(str(template)).expression)}
    return sorted(found - {""}, key=lambda text: (len(text), text))


def values_of(entry):
    """A list's values: {value: wordings}."""
    values = {}
    for one in entry.get("values", []):
        value, template = (one["out"], one["in"]) if isinstance(one, dict) else (one, one)
        values.setdefault(value, [])
        values[value] += [text for text in words(template) if text not in values[value]]
    return values


def expand(data, sentence, depth=8):
    """A template with its expansion rules written out."""
    for _ in range(depth):
        sentence = RULE.sub(lambda rule: f"({data['expansion_rules'].get(rule[1], '')})", sentence)
    return sentence


def lists_by_slot(data, blocks):
    """{slot: {names of its lists}} of all the templates of an intent."""
    slots = {}
    for block in blocks:
        for sentence in block["sentences"]:
            for name, slot in LIST.findall(expand(data, sentence)):
                slots.setdefault(slot or name, set()).add(name)
    return slots


def number_range(ranges, key):
    lowest, highest = [], []
    for one in ranges:
        ends = [one["from"] * one.get("multiplier", 1), one["to"] * one.get("multiplier", 1)]
        lowest.append(min(ends))
        highest.append(max(ends))
    step = 0.5 if any(one.get("fractions") == "halves" for one in ranges) else max(one.get("step", 1) for one in ranges)
    percent = any(one.get("type") == "percentage" for one in ranges)
    unit = "%" if percent else UNITS.get(key) or UNITS[key.split(".")[1]]
    return {"from": min(lowest), "to": max(highest), "step": step, "unit": unit}


def slot_kind(intent, slot, lists, required):
    """What a slot takes: {kind, required, range?, values?}."""
    info = {"kind": slot if slot in OF_THE_HOUSE else "text", "required": required}
    if slot == "name" and "Timer" in intent:
        return {"kind": "text", "required": required}
    if slot in OF_THE_HOUSE:
        return info
    ranges = [one["range"] for one in lists if "range" in one]
    values = {}
    for one in lists:
        for value, wordings in values_of(one).items():
            values.setdefault(str(value), []).extend(wordings)
    if ranges:
        info |= {"kind": "number", "range": number_range(ranges, f"{intent}.{slot}")}
    elif values:
        info["kind"] = "choice"
    if values:
        info["values"] = values
    return info


def domains_of(*groups):
    """Domains of several {importance: [domain]} or lists, in their order."""
    found = []
    for group in groups:
        for domains in group.values() if isinstance(group, dict) else [group or []]:
            found += [domain for domain in domains if domain not in found]
    return found


def add_rule(rules, response, domains=(), name_domains=()):
    """Adds when a response is said; one rule a response."""
    rule = next((one for one in rules if one["response"] == response), None)
    if rule is None:
        rule = {"response": response}
        rules.append(rule)
    for key, more in (("domains", domains), ("nameDomains", name_domains)):
        if more:
            rule[key] = domains_of(rule.get(key), more)


def rules_of(blocks, combination):
    """Which responses go with a combination: [{response, domains?, nameDomains?}]."""
    rules = []
    for block in blocks:
        if block["metadata"]["slot_combination"] == combination:
            needs = (block.get("requires_context") or {}).get("domain", [])
            static = block.get("slots", {})
            names = [needs] if isinstance(needs, str) else needs
            add_rule(rules, block["response"], [static["domain"]] if "domain" in static else [], names)
    return rules


def combination_of(name, info, blocks):
    """One set of slots that go together."""
    combination = {"slots": info["slots"]}
    if info.get("context_area"):
        combination["contextArea"] = True
    rules = rules_of(blocks, name)
    names = domains_of(info.get("name_domains") or {}, *(rule.get("nameDomains") for rule in rules))
    domains = domains_of(info.get("inferred_domains") or {}, *(rule.get("domains") for rule in rules))
    if names:
        combination["nameDomains"] = names
    if domains:
        combination["domains"] = domains
    if rules:
        combination["rules"] = rules
    return combination


def intents_of(data, info):
    intents = {}
    for intent, facts in sorted(info.items()):
        blocks = data["intents"][intent]["data"]
        lists = lists_by_slot(data, blocks)
        slots = {}
        for slot, about in facts.get("slots", {}).items():
            entries = [data["lists"][name] for name in sorted(lists.get(slot, ())) if name in data["lists"]]
            slots[slot] = slot_kind(intent, slot, entries, about["required"])
        intents[intent] = {
            "description": facts["description"],
            "domain": facts["domain"],
            "slots": slots,
            "combinations": {
                name: combination_of(name, one, blocks) for name, one in facts["slot_combinations"].items()
            },
        }
    return intents


def add_classes(intents, old):
    """Questions for sensors by their class, which the newest English templates only ask by name."""
    combinations = intents["HassGetState"]["combinations"]
    for block in old["intents"]["HassGetState"]["data"]:
        static = block.get("slots") or {}
        if static.get("domain") not in ("binary_sensor", "sensor"):
            continue
        by_name = bool(block.get("requires_context"))
        with_state = static["domain"] == "binary_sensor"
        slots = [*(["name"] if by_name else []), "domain", "device_class", *(["state"] if with_state else [])]
        base = "_".join([*(["name"] if by_name else []), "class", *(["state"] if with_state else [])])
        for place in ("", "area", "floor"):
            name = f"{base}_{place}" if place else base
            placed = [*([place] if place else []), *slots]
            one = combinations.setdefault(name, {"slots": placed, "domains": [], "rules": []})
            if static["domain"] not in one["domains"]:
                one["domains"].append(static["domain"])
            add_rule(one["rules"], block["response"], [static["domain"]])


def state_lists(data, old):
    """{domain: {state: wordings}} and {class of binary sensors: {state: wordings}}."""
    lists = data["lists"]
    on_off, covers = values_of(lists["on_off_states"]), values_of(lists["cover_states"])
    domains = {domain: on_off for domain in ("light", "switch", "fan", "input_boolean", "binary_sensor")}
    domains |= {"cover": covers, "valve": covers, "lock": values_of(lists["lock_states"])}
    classes = {
        name.removeprefix("bs_").removesuffix("_states"): values_of(entry)
        for name, entry in old["lists"].items()
        if name.startswith("bs_")
    }
    # The newest templates know more words for the classes that they still name.
    for name in ("opening", "door", "window", "garage_door"):
        merge(classes[name], values_of(lists["bs_open_states"]))
    for name in ("occupancy", "motion"):
        merge(classes[name], values_of(lists["bs_occupancy_states"]))
    return domains, classes


def merge(into, more):
    for value, wordings in more.items():
        into.setdefault(value, [])
        into[value] += [text for text in wordings if text not in into[value]]


def translations(wheel, domain):
    try:
        return json.loads(wheel.read(f"homeassistant/components/{domain}/translations/{LANGUAGE}.json"))
    except KeyError:
        return {}


def states_of(entry, spoken):
    """{state: wordings}: Home Assistant's own word first, then those of the templates."""
    states = {value: [title.lower()] for value, title in entry.get("state", {}).items()}
    merge(states, spoken)
    return states


def class_of(name, entry, spoken, lists):
    info = {"words": [entry["name"].lower()]}
    for text in values_of(lists["cover_classes"]).get(name, []):
        if text not in info["words"]:
            info["words"].append(text)
    states = states_of(entry, spoken)
    if states:
        info["states"] = states
    return info


def domains_of_home_assistant(wheel, data, old):
    """{domain: {title, states, classes}} of every domain whose entities have a state of their own."""
    spoken, class_words = state_lists(data, old)
    domains = {}
    for file in wheel.namelist():
        match = re.fullmatch(rf"homeassistant/components/(\w+)/translations/{LANGUAGE}\.json", file)
        if match is None:
            continue
        text = translations(wheel, match[1])
        components = text.get("entity_component", {})
        if "_" not in components and match[1] not in MORE_DOMAINS:
            continue
        own = components.get("_", {})
        domain = {"title": own.get("name") or text.get("title", match[1].replace("_", " ").title())}
        states = states_of(own, spoken.get(match[1], {}))
        if states:
            domain["states"] = states
        of_binary = match[1] == "binary_sensor"
        of_cover = data if match[1] == "cover" else {"lists": {"cover_classes": {}}}
        classes = {
            name: class_of(name, entry, class_words.get(name, {}) if of_binary else {}, of_cover["lists"])
            for name, entry in components.items()
            if name != "_" and not name.startswith("_") and "name" in entry
        }
        if classes:
            domain["classes"] = classes
        domains[match[1]] = domain
    return dict(sorted(domains.items()))


# Home Assistant's own Jinja takes these, other implementations do not; and what they get wrong where slots are numbers.
PORTABLE = [
    (r":(\s*%\})", r"\1"),
    (
        r"\[ h_text, m_text, s_text\] \| select\(\) \| list",
        "([h_text] if h_text else []) + ([m_text] if m_text else []) + ([s_text] if s_text else [])",
    ),
    (r"\| count\b", "| length"),
    (r"in \[ \"1\", 'one'\]", "in [1, \"1\", 'one']"),
    (r"'\{0:02d\}'\.format\(slots\.time\.minute\)", "('0' ~ slots.time.minute)[-2:]"),
    (r"(\s)(\d+): '", r"\1'\2': '"),
    (r"\[slots\.date\.(month|day)\]", r"[slots.date.\1 | string]"),
    (r"state == \"not_home\"", "state.state == \"not_home\""),
    (r"translations\.get\(state\.domain\)", "translations.get(state.domain, state.name)"),
]


def portable(responses):
    """The response templates in the Jinja that all implementations share; every rewriting must still be needed."""
    templates = {intent: dict(said) for intent, said in sorted(responses.items())}
    for pattern, replacement in PORTABLE:
        assert any(re.search(pattern, one) for said in templates.values() for one in said.values()), pattern
        templates = {
            intent: {key: re.sub(pattern, replacement, one) for key, one in said.items()}
            for intent, said in templates.items()
        }
    return templates


def lines_of(document, depth):
    """JSON with an entry a line down to `depth`, so that a change shows as its lines."""
    if depth == 0 or not isinstance(document, dict):
        return json.dumps(document, ensure_ascii=False)
    entries = (f"{json.dumps(key)}: {lines_of(value, depth - 1)}" for key, value in document.items())
    return "{\n" + ",\n".join(entries) + "\n}"


def write(name, document):
    path = OUT / name
    path.write_text(lines_of(document, 2) + "\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


def read(wheel, file):
    return json.loads(wheel.read(f"home_assistant_intents/{file}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", nargs=3, metavar="WHEEL", help="newest intents, intents with classes, homeassistant")
    paths = [Path(path) for path in parser.parse_args().wheels]
    new, old_wheel, home = (zipfile.ZipFile(path) for path in paths)
    data, old = (read(wheel, f"data/{LANGUAGE}.json") for wheel in (new, old_wheel))
    intents = intents_of(data, read(new, "intents.json"))
    add_classes(intents, old)
    names = [path.name.split("-")[:2] for path in paths]
    credit = {
        "packages": [f"{name.replace('_', '-')} {version}" for name, version in names],
        "credit": "Home Assistant Intents by the Home Assistant authors, CC BY 4.0; Home Assistant, Apache 2.0",
        "changes": "selected, rearranged and made portable by tools/home/catalogue.py",
    }
    domains = domains_of_home_assistant(home, data, old)
    write("catalogue.json", {"source": credit, "language": LANGUAGE, "intents": intents, "domains": domains})
    responses = data["responses"]
    said = {"intents": portable(responses["intents"]), "errors": responses["errors"]}
    write("responses.json", {"source": credit, "language": LANGUAGE, **said})


if __name__ == "__main__":
    main()
