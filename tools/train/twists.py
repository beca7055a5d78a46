"""What people do with commands: several at once, exceptions, limits; and what only looks like one."""

import re

from refusals import refusal
from sentences import Drawn, Impossible, Speaker, spoken
from words import PEOPLE, ROOMS

JOINS = [" and ", " and ", " and then ", " then ", ", and ", ", ", " and also ", " plus ", " and please ", " after that ", ". ", " oh and ", " and could you ", " also "]
DOMAIN_WORDS = {"light": ["lights", "lamps"], "fan": ["fans"], "switch": ["switches", "plugs"], "cover": ["blinds", "covers", "shutters", "curtains"], "lock": ["locks", "doors"]}
NOT = ["don't {}", "do not {}", "please don't {}", "never {}", "you must not {}", "don't you dare {}", "i don't want you to {}", "whatever you do don't {}", "no need to {}", "you don't have to {}",
       "stop don't {}", "don't ever {}", "i said don't {}", "please do not {}", "under no circumstances {}", "i'd rather you didn't {}", "hold on don't {}", "not yet don't {}", "you shouldn't {}", "let's not {}"]
REPORTED = ["{p} told me to {c}", "{p} said {c}", "{s} asked {o} to {c}", "i told {o} to {c}", "yesterday i asked you to {c}", "why did you {c}", "{s} wants to {c} later", "i was about to {c}", "i might {c} tomorrow", "remember when we tried to {c}",
            "the guide says {c}", "in the film he says {c}", "{p} always forgets to {c}", "did {p} {c}", "what happens if i {c}", "how do i {c}", "is it bad to {c} at night", "how long does it take to {c}", "i already did {c}", "can {o} {c} by {r}",
            "my {f} used to {c} every evening", "who {v} to {c}", "should i {c}", "i wonder who will {c}", "if you {c} the cat gets scared", "the song goes {c}", "i dreamt that i had to {c}", "they had to {c} in the story", "what does {c} mean", "write a poem about how to {c}", "she thinks you can {c}"]
FEELINGS = ["i'm (cold|hot|freezing|tired|hungry|bored|sad|happy|boiling|thirsty)", "i am (cold|warm|so tired|sleepy)", "it's been a long day", "what a day", "i'm going to bed soon", "my feet are cold", "i feel great", "i had a terrible night", "brr", "i'm sweating",
            "we are home", "i'm back", "i'm so happy today", "it smells in here", "that was loud", "the sun is shining", "this room is a mess", "i love this song", "the lamp is beautiful", "i bought a new lamp", "that painting of a lighthouse is lovely",
            "we should paint the {r}", "the {r} is my favorite room", "the curtains need washing", "the tv was expensive", "the lights of paris are famous", "he was the light of my life", "let's switch topics", "turn left at the corner", "the door of the car is scratched", "she opened a window to the past",
            "the fan of the team cheered", "the fans went wild", "my phone fell off the table", "the temperature of the sun is huge", "we watched a movie about a robot vacuum", "the stage lights went out at the concert", "lock and key is a movie", "the song is called light my fire", "i'd like to dim sum for lunch", "the blinds leading the blind"]
RELATIVE = ["(raise|increase|lower|decrease|drop|reduce) [the] (temperature|heat|heating) [in the {r}] by {n} degrees", "(make it|turn it) {n} degrees (warmer|cooler|colder|hotter)", "(turn|crank) the (heating|heat|thermostat) (up|down) [by] {n} degrees", "{n} degrees (warmer|cooler|more|less) [please]",
            "(turn up|turn down) the (heat|heating|thermostat) [a bit|a little]", "make it (warmer|cooler|colder|hotter) [in here|in the {r}]", "(raise|lower) the blinds by {n} percent [more]", "make the lights {n} percent (brighter|darker)", "heat up the {r} a bit", "a bit (warmer|cooler) please"]
OTHER = """schalte das licht in der küche ein|mach das licht aus|wie spät ist es|stelle einen timer auf zehn minuten|öffne die rollläden im wohnzimmer|mach die heizung wärmer|wie ist das wetter heute|spiel etwas musik|licht an bitte|alle lichter aus
allume la lumière de la cuisine|éteins la lumière du salon|quelle heure est-il|mets un minuteur de dix minutes|ouvre les volets|ferme la porte du garage|il fait froid|joue de la musique|éteins tout|monte le son
enciende la luz de la cocina|apaga las luces del salón|qué hora es|pon un temporizador de cinco minutos|abre las persianas|cierra la puerta|sube el volumen|hace frío|apaga todo|qué tiempo hace hoy
accendi la luce in cucina|spegni le luci|che ore sono|imposta un timer di dieci minuti|apri le tapparelle|chiudi la porta|alza il volume|che tempo fa|metti la musica|spegni tutto
doe het licht in de keuken aan|doe de lampen uit|hoe laat is het|zet een timer voor vijf minuten|open de gordijnen|sluit de garagedeur|zet de verwarming hoger|speel muziek|alles uit
tänd lampan i köket|släck ljuset|vad är klockan|starta en timer på tio minuter|öppna gardinerna|stäng dörren|höj volymen|spela musik|hur är vädret
ligue a luz da cozinha|apague as luzes|que horas são|defina um temporizador de cinco minutos|abra as persianas|feche a porta|aumente o volume|toque música
włącz światło w kuchni|zgaś światło|która godzina|ustaw minutnik na pięć minut|otwórz rolety|zamknij drzwi|zrób głośniej
tænd lyset i køkkenet|sluk lyset|hvad er klokken|slå på lyset på kjøkkenet|skru av lyset|laita valot päälle keittiöön|sammuta valot|mutfak ışığını aç|ışıkları kapat|zapni světlo v kuchyni|zhasni|kapcsold fel a villanyt|включи свет на кухне|выключи свет|打开厨房的灯|关灯|キッチンの電気をつけて|電気を消して""".replace("\n", "|").split("|")
GARBAGE = ["...", "uh", "um", "hmm", "ah", "the", "and then", "you know", "well", "so yeah", "what", "huh", "ok", "okay", "yes", "no", "maybe", "thanks", "thank you", "please", "sorry", "right", "one two three", "test test", "la la la", "on", "off", "turn", "turn the", "could you please", "in the", "set", "i mean", "turn on the um", "hey can you", "asdf qwer", "blah blah"]


def nothing(text: str) -> Drawn:
    return Drawn(text, [])


def pattern(text: str, rng) -> str:
    """One reading of a text with (a|b) and [c]."""
    while re.search(r"[\[(]", text):
        text = re.sub(r"\(([^()\[\]]*)\)", lambda m: rng.choice(m[1].split("|")), text, count=1)
        text = re.sub(r"\[([^()\[\]]*)\]", lambda m: rng.choice(m[1].split("|")) if rng.random() < 0.5 else "", text, count=1)
    return " ".join(text.split())


def fill(text: str, speaker: Speaker) -> str:
    rng = speaker.rng
    values = {"r": rng.choice(speaker.house.areas)["name"].lower() if rng.random() < 0.6 else rng.choice(ROOMS), "p": rng.choice(PEOPLE + ["he", "she", "mom", "dad", "my wife", "my husband"]), "s": rng.choice(["he", "she", "they", "my boss"]),
              "o": rng.choice(["him", "her", "them", "me", "my brother"]), "f": rng.choice(["mother", "father", "neighbor"]), "v": rng.choice(["wants", "has", "needs"]), "n": rng.choice([str(rng.randint(1, 10)), spoken(rng.randint(1, 10))])}
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    return text


def several(speaker: Speaker) -> Drawn:
    rng = speaker.rng
    parts = [speaker.command() for _ in range(rng.choice((2, 2, 2, 2, 3)))]
    if any(len(part.text) > 60 or part.commands[0]["intent"] in ("HassBroadcast", "HassNevermind", "HassRespond") or "conversation_command" in part.commands[0]["slots"] for part in parts):
        raise Impossible
    greedy = {"search_query", "item", "message"}
    if any(greedy & set(part.commands[0]["slots"]) for part in parts[:-1]) and rng.random() < 0.5:
        raise Impossible
    text = parts[0].text
    for part in parts[1:]:
        text += rng.choice(JOINS) + part.text
    return Drawn(text, [c for part in parts for c in part.commands])


def shared_verb(speaker: Speaker) -> Drawn:
    """One verb, several things: "turn off the lamp and the kitchen lights"."""
    rng, house = speaker.rng, speaker.house
    on = rng.random() < 0.5
    intent = "HassTurnOn" if on else "HassTurnOff"
    kind = rng.choice(["mixed", "mixed", "areas", "cover", "lock"])
    things, slots = [], []
    for _ in range(rng.choice((2, 2, 2, 3))):
        if kind == "areas" or kind == "mixed" and rng.random() < 0.4:
            area = rng.choice(house.areas)
            things.append((house.said(area), True))
            slots.append({"area": {"id": area["id"]}, "domain": {"value": "light"}})
        else:
            found = house.of({"mixed": ["light", "switch", "fan", "media_player"], "cover": ["cover"], "lock": ["lock"]}[kind])
            if not found:
                raise Impossible
            entity = rng.choice(found)
            things.append((house.said(entity), False))
            slots.append({"name": {"id": entity["id"]}})
    if len({str(s) for s in slots}) < len(slots):
        raise Impossible
    the = lambda said: rng.choice(["the ", "the ", "the ", "", "my "]) + said
    last_area = kind == "areas" and rng.random() < 0.6
    words = [the(said) + ("" if not area or last_area and i < len(things) - 1 else rng.choice([" lights", " lights", " light"])) for i, (said, area) in enumerate(things)]
    listed = ", ".join(words[:-1]) + rng.choice([" and ", " and ", " as well as ", " plus ", ", "]) + words[-1]
    if kind == "cover":
        text = rng.choice(["open {}", "raise {}", "pull up {}"] if on else ["close {}", "shut {}", "lower {}"]).format(listed)
    elif kind == "lock":
        text = ("lock {}" if on else "unlock {}").format(listed)
    else:
        word = "on" if on else "off"
        text = rng.choice([f"turn {word} {{}}", f"switch {word} {{}}", f"turn {{}} {word}", f"{{}} {word}", f"put {{}} {word}", f"get {{}} {word}", "kill {}" if not on else "power up {}"]).format(listed)
        if kind == "areas" and rng.random() < 0.3:
            text = f"turn {word} the lights in {', '.join(the(s) for s, _ in things[:-1])} and {the(things[-1][0])}"
    return Drawn(text, [{"intent": intent, "slots": s} for s in slots])


def opposite(speaker: Speaker) -> Drawn:
    """Two things with two verbs of one pair: "lamp on and heater off"."""
    rng, house = speaker.rng, speaker.house
    found = house.of(["light", "switch", "fan", "media_player"])
    if len(found) < 2:
        raise Impossible
    a, b = rng.sample(found, 2)
    first = rng.random() < 0.5
    words = ("on", "off") if first else ("off", "on")
    text = rng.choice(["{a} {x} and {b} {y}", "turn {a} {x} and {b} {y}", "switch {x} {a} and {y} {b}", "turn {x} {a} but turn {y} {b}", "{a} {x}, {b} {y}"]).format(a=rng.choice(["the ", ""]) + house.said(a), b=rng.choice(["the ", ""]) + house.said(b), x=words[0], y=words[1])
    intents = ("HassTurnOn", "HassTurnOff") if first else ("HassTurnOff", "HassTurnOn")
    return Drawn(text, [{"intent": i, "slots": {"name": {"id": e["id"]}}} for i, e in zip(intents, (a, b))])


def exception(speaker: Speaker) -> Drawn:
    """All but one: "all lights off except the bedroom"."""
    rng, house = speaker.rng, speaker.house
    domain = rng.choice(["light", "light", "light", "light", "fan", "switch", "cover", "cover"])
    on = rng.random() < 0.4
    slots = {"domain": {"value": domain}}
    word = rng.choice(DOMAIN_WORDS[domain])
    if domain == "cover" and word != "covers":
        slots["device_class"] = {"value": word.rstrip("s")}
    place, area = "", None
    if rng.random() < 0.4:
        if house.floors and rng.random() < 0.5:
            floor = rng.choice(house.floors)
            slots["floor"] = {"id": floor["id"]}
            said = house.said(floor)
            place = " " + (said if re.search("stairs", said) else f"on the {said}")
        else:
            area = rng.choice(house.areas)
            slots["area"] = {"id": area["id"]}
            place = f" in the {house.said(area)}"
    entities = [e for e in house.of([domain]) if not area or e.get("area") == area["id"]]
    if entities and (area or rng.random() < 0.5):
        left = rng.choice(entities)
        gold, said = {"id": left["id"]}, house.said(left)
    elif not area:
        left = rng.choice(house.areas)
        gold, said = {"id": left["id"]}, house.said(left) + rng.choice(["", "", " one", " ones", " " + word])
    else:
        raise Impossible
    but = rng.choice(["except", "except for", "but", "but not", "apart from", "besides", "other than", "excluding", "save for", "all but", "leave out", "but leave", "not", "without", "except in", "just not"])
    tail = f"{'' if but == 'all but' else ' '}{but} the {said}" + (" alone" if but == "but leave" and rng.random() < 0.5 else "")
    if but == "all but":
        tail = f", all but the {said}"
    every = rng.choice(["all ", "all the ", "every single one of the ", "all of the ", "every ", "the ", "everything, all "]) if not place or rng.random() < 0.7 else ""
    target = f"{every}{word}{place}".replace("every lights", "every light").replace("every lamps", "every lamp")
    if domain == "cover":
        verb = rng.choice(["open {}", "raise {}"] if on else ["close {}", "shut {}", "lower {}"])
    else:
        verb = rng.choice(["turn {w} {}", "{} {w}", "switch {} {w}", "turn {} {w}", "put {} {w}"]).replace("{w}", "on" if on else "off")
    text = verb.format(target) + tail
    return Drawn(text, [{"intent": "HassTurnOn" if on else "HassTurnOff", "slots": {**slots, "except": gold}}])


def out_of_range(speaker: Speaker) -> Drawn:
    rng, house = speaker.rng, speaker.house
    value = rng.choice([rng.randint(101, 999), 150, 200, 120, 110, 500])
    said = rng.choice([str(value), spoken(value)])
    found = house.of(["light", "cover", "media_player", "climate", "fan"])
    if not found:
        raise Impossible
    entity = rng.choice(found)
    unit = rng.choice(["degrees", ""]) if entity["domain"] == "climate" else rng.choice(["percent", "percent", "%", ""])
    text = rng.choice(["set the {n} to {v} {u}", "{n} to {v} {u}", "put the {n} at {v} {u}", "turn the {n} up to {v} {u}", "set the {n} to minus {w} {u}"]).format(n=house.said(entity), v=said, u=unit, w=rng.randint(1, 60))
    return nothing(text)


def bare(speaker: Speaker) -> Drawn:
    """A name alone is no command, but for scenes, scripts and sensors, which are said so."""
    rng, house = speaker.rng, speaker.house
    things = house.areas + house.floors + [e for e in house.entities if e["domain"] not in ("scene", "script", "sensor", "todo")]
    said = house.said(rng.choice(things))
    return nothing(rng.choice(["{}", "{}", "the {}", "um {}", "{} please", "what {}", "my {}"]).format(said))


def negated(speaker: Speaker) -> Drawn:
    drawn = speaker.command()
    if drawn.commands[0]["intent"] in ("HassNevermind", "HassRespond", "HassGetState", "HassGetWeather", "HassGetCurrentTime", "HassGetCurrentDate", "HassTimerStatus", "HassClimateGetTemperature", "HassBroadcast") or not re.match(
        r"(turn|switch|put|open|close|shut|lock|unlock|set|start|stop|dim|play|raise|lower|add|run|activate|kill|get|make|clean|pause|mute|cancel|vacuum|bring|change|power|mow|send|remove)\b", drawn.text):
        raise Impossible
    return nothing(speaker.rng.choice(NOT).format(drawn.text))


def reported(speaker: Speaker) -> Drawn:
    drawn = speaker.command()
    if not re.match(r"(turn|switch|put|open|close|shut|lock|unlock|set|start|stop|dim|play|raise|lower|add|run|activate|clean|pause|mute|vacuum|bring|change|mow)\b", drawn.text):
        raise Impossible
    return nothing(fill(speaker.rng.choice(REPORTED), speaker).replace("{c}", drawn.text))


def list_question(speaker: Speaker) -> Drawn:
    rng = speaker.rng
    lists = [e["name"].lower() for e in speaker.house.of(["todo"])] + ["shopping", "shopping"]
    return nothing(pattern(rng.choice(["what('s| is) on (my|the) {l} list", "(read|show) me (my|the) {l} list", "is {i} on (my|the) {l} list", "do we (have|need) {i}", "how many things are on (my|the) {l} list", "did i (put|add) {i} (on|to) (my|the) {l} list", "what do (i|we) need to buy", "have we got {i}", "what else is on the {l} list", "clear the {l} list", "who added {i} to the list"]), rng).replace("{l}", rng.choice(lists)).replace("{i}", speaker.names.item()))


def talk(speaker: Speaker) -> Drawn:
    rng = speaker.rng
    kind = rng.random()
    if kind < 0.5:
        return nothing(refusal(rng, speaker.names, False))
    if kind < 0.72:
        return nothing(pattern(fill(rng.choice(FEELINGS), speaker), rng))
    if kind < 0.84:
        return nothing(pattern(fill(rng.choice(RELATIVE), speaker), rng))
    if kind < 0.95:
        return nothing(rng.choice(OTHER))
    return nothing(rng.choice(GARBAGE))


def unknown_name(speaker: Speaker) -> Drawn:
    """A device or room that this house has not."""
    rng = speaker.rng
    name = rng.choice([speaker.names.invented() + " " + rng.choice(["lamp", "heater", "fan", "tv", "blind"]), speaker.names.words(2)])
    text = rng.choice(["turn on the {}", "turn off the {}", "switch the {} off", "{} on", "dim the {} to 30 percent", "open the {}", "set {} to 20 degrees", "is the {} on", "turn off the lights in the {}"]).format(name)
    return nothing(text)


TWISTS = [(several, 15), (shared_verb, 9), (opposite, 3), (exception, 6), (out_of_range, 3), (bare, 3), (negated, 7), (reported, 6), (list_question, 3), (talk, 17), (unknown_name, 3)]
