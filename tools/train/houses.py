"""Houses made at random, with names as people give them and as nobody does."""

from words import DEVICES, FLOORS, LISTS, MODIFIERS, NOUNS, PEOPLE, ROOM_NOUNS, ROOMS, SCENES, Names

BRANDS = "hue sonos nest ikea tradfri shelly tuya dyson roomba lutron ecobee tado bosch philips samsung lg sony apple echo homepod".split()
FOREIGN = """küche stube flur schlafzimmer büro wohnzimmer salle à manger chambre cuisine séjour grenier cantina salotto cocina habitación
zoë's björn's françois' jürgen's señora's ático bürolampe rollladen stehlampe deckenlicht lumière volet lampe de chevet""".split()
COVER_CLASSES = ["blind", "curtain", "shade", "shutter", "awning", "door", "garage", "gate", "window", None]
BINARY = """battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light lock moisture motion moving occupancy
opening plug power presence problem running safety smoke sound tamper update vibration window""".split()
SENSORS = """temperature humidity battery power energy illuminance carbon_dioxide pm25 pressure voltage current water gas wind_speed
precipitation aqi moisture signal_strength distance speed weight volume duration monetary atmospheric_pressure sound_pressure""".split()
BINARY_NOUNS = dict(door="door|front door sensor|cabinet|fridge door", window="window|skylight", motion="motion|motion sensor|pir", smoke="smoke detector|smoke alarm",
    moisture="leak sensor|water leak|flood sensor", occupancy="occupancy|presence", garage_door="garage door", battery="battery|phone battery|tablet",
    lock="lock|door lock", plug="plug|charger", update="update|firmware", vibration="vibration|washer vibration", gas="gas sensor|gas detector",
    connectivity="router|internet|nas|access point", sound="noise|sound sensor", presence="phone|tag", running="washing machine|dryer|pump",
    opening="hatch|letterbox|mailbox", light="light sensor", heat="heat sensor|boiler", cold="frost sensor|freezer", tamper="tamper", problem="boiler|pump",
    safety="alarm|safety", power="power|mains", carbon_monoxide="co detector|carbon monoxide", battery_charging="phone|robot|car", moving="car|gate")
SENSOR_NOUNS = dict(temperature="temperature|thermometer|temp", humidity="humidity|hygrometer", battery="battery|phone battery|battery level", power="power|consumption|power usage",
    energy="energy|energy today|electricity", illuminance="light level|illuminance|brightness", carbon_dioxide="co2|carbon dioxide|air", water="water meter|water usage")
# How often a house has entities of a domain, and how many at most.
DOMAINS = dict(light=(0.97, 9), switch=(0.8, 5), cover=(0.75, 5), lock=(0.55, 3), climate=(0.65, 3), fan=(0.5, 3), media_player=(0.7, 4), vacuum=(0.45, 2),
    lawn_mower=(0.2, 1), valve=(0.25, 2), binary_sensor=(0.7, 6), sensor=(0.75, 6), person=(0.6, 4), weather=(0.4, 2), todo=(0.6, 4), scene=(0.6, 4),
    script=(0.5, 3), camera=(0.25, 2), humidifier=(0.2, 1), water_heater=(0.12, 1), button=(0.25, 2), input_boolean=(0.35, 2), siren=(0.1, 1), remote=(0.08, 1),
    automation=(0.15, 2), alarm_control_panel=(0.15, 1), input_button=(0.1, 1), number=(0.08, 1), select=(0.08, 1), timer=(0.08, 1))


class House:
    """Floors, areas and entities as the runtime reads them, and helpers that draw from them."""

    def __init__(self, rng):
        self.rng, self.names = rng, Names(rng, False)
        self.taken = set()
        floors = rng.choices((0, 1, 2, 3), (4, 1, 4, 2))[0]
        self.floors = [self.floor(i) for i in range(floors)]
        self.areas = [self.area(i) for i in range(rng.choice((2, 3, 5, 6, 8, 10, 13)))]
        self.entities = []
        for domain, (chance, most) in DOMAINS.items():
            if rng.random() < chance:
                for _ in range(rng.randint(1, most)):
                    self.entity(domain)

    def fresh(self, name: str) -> bool:
        key = "".join(c for c in name.lower() if c.isalnum())
        if not key or key in self.taken or len(name) > 40:
            return False
        self.taken.add(key)
        return True

    def cased(self, name: str) -> str:
        kind = self.rng.random()
        return name.title().replace("'S", "'s") if kind < 0.7 else name.capitalize() if kind < 0.85 else name

    def floor(self, i: int) -> dict:
        rng = self.rng
        while True:
            kind = rng.random()
            name = rng.choice(["ground floor", "first floor", "second floor", "upstairs", "downstairs", "basement", "attic", "top floor", "main floor", "cellar", "loft",
                               rng.choice(FLOORS) + " floor", self.names.invented() + " floor" if kind < 0.3 else "third floor", "lower level", "upper level"])
            if self.fresh(name):
                break
        aliases = []
        alias = {"first floor": "upstairs", "ground floor": "downstairs", "upstairs": "first floor"}.get(name)
        if alias and rng.random() < 0.4 and self.fresh(alias):
            aliases.append(alias)
        return {"id": f"f{i}", "name": self.cased(name), "aliases": aliases}

    def place(self) -> str:
        rng = self.rng
        kind = rng.random()
        if kind < 0.68:
            return rng.choice(ROOMS)
        if kind < 0.8:
            return f"{rng.choice(PEOPLE)}'s {rng.choice(['room', 'bedroom', 'office', 'bathroom'])}"
        if kind < 0.92:
            return f"{self.names.words(1)} {rng.choice(ROOM_NOUNS)}"
        return rng.choice(FOREIGN) if rng.random() < 0.4 else self.names.words(2)

    def area(self, i: int) -> dict:
        while True:
            name = self.place()
            if self.fresh(name):
                break
        area = {"id": f"a{i}", "name": self.cased(name), "aliases": []}
        if self.rng.random() < 0.12:
            alias = self.place()
            if self.fresh(alias):
                area["aliases"].append(alias)
        if self.floors and self.rng.random() < 0.85:
            area["floor"] = self.rng.choice(self.floors)["id"]
        return area

    def noun(self, domain: str, kind) -> str:
        rng = self.rng
        if domain == "cover":
            words = {"garage": ["garage door", "garage"], "door": ["door", "sliding door"], "window": ["window", "skylight"]}.get(kind)
            return rng.choice(words or ([kind, kind + "s", "roller " + kind] if kind else NOUNS["cover"]))
        if domain == "binary_sensor":
            return rng.choice(BINARY_NOUNS.get(kind, "sensor").split("|"))
        if domain == "sensor":
            return rng.choice(SENSOR_NOUNS.get(kind, kind.replace("_", " ") + "|" + kind.replace("_", " ") + " sensor").split("|"))
        if domain in NOUNS:
            return rng.choice(NOUNS[domain])
        other = dict(lawn_mower="mower|lawn mower|lawnmower|robot mower", valve="valve|water valve|sprinkler|irrigation|main water|gas valve", camera="camera|cam|doorbell camera",
            humidifier="humidifier|dehumidifier", water_heater="water heater|boiler", siren="siren|alarm", remote="remote|tv remote", alarm_control_panel="alarm|alarm panel",
            automation="automation|motion lights|schedule|sunset lights", input_boolean="guest mode|vacation mode|holiday mode|party mode|sleep mode|do not disturb",
            input_button="bell|reset|trigger", number="target|offset|limit", select="mode|preset|input", timer="timer|egg timer").get(domain)
        return rng.choice((other.split("|") if other else DEVICES))

    def label(self, domain: str, kind, area) -> str:
        rng, names = self.rng, self.names
        if domain == "person":
            return rng.choice(PEOPLE)
        if domain == "scene":
            return rng.choice(SCENES) if rng.random() < 0.7 else names.words(2)
        if domain == "script":
            return rng.choice(SCENES + ["goodnight routine", "leave home", "feed the cat", "watch tv", "water the plants", "start the day", "lock up", "bed time", "stop everything"]) if rng.random() < 0.7 else names.words(2)
        if domain == "todo":
            return rng.choice(LISTS + ["shopping list", "groceries", "tasks", "chores", "to-do"]) if rng.random() < 0.85 else names.words(2)
        if domain == "weather":
            return rng.choice(["home", "forecast", "weather", "london", "berlin", "paris", "new york", "oslo", names.invented()])
        noun = self.noun(domain, kind)
        form = rng.random()
        if form < 0.3 and area:
            return f"{area['name'].lower()} {noun}"
        if form < 0.55:
            return f"{rng.choice(MODIFIERS)} {noun}"
        if form < 0.66:
            return noun
        if form < 0.72:
            return f"{rng.choice(PEOPLE)}'s {noun}"
        if form < 0.77:
            return f"{rng.choice(BRANDS)} {noun}" if rng.random() < 0.6 else f"{rng.choice(BRANDS)} {rng.randint(1, 9)}"
        if form < 0.85 and area:
            return f"{area['name'].lower()} {rng.choice(MODIFIERS)} {noun}"
        if form < 0.9:
            return names.words(2)
        if form < 0.93:
            return f"{noun} {rng.randint(1, 9)}"
        if form < 0.95:
            return rng.choice(FOREIGN)
        return f"{names.word()} {noun}"

    def entity(self, domain: str):
        rng = self.rng
        kind = None
        if domain == "cover":
            kind = rng.choice(COVER_CLASSES)
        elif domain == "binary_sensor":
            kind = rng.choice(BINARY) if rng.random() < 0.6 else rng.choice(["door", "window", "motion", "moisture", "smoke", "occupancy"])
        elif domain == "sensor":
            kind = rng.choice(SENSORS) if rng.random() < 0.6 else rng.choice(["temperature", "humidity", "battery", "power"])
        elif domain == "switch" and rng.random() < 0.4:
            kind = "outlet"
        elif domain == "media_player" and rng.random() < 0.5:
            kind = rng.choice(["tv", "speaker", "receiver"])
        elif domain == "valve" and rng.random() < 0.5:
            kind = rng.choice(["water", "gas"])
        area = rng.choice(self.areas) if domain not in ("person", "weather", "todo", "scene", "script", "automation") and rng.random() < 0.85 else None
        for _ in range(5):
            name = self.label(domain, kind, area)
            if self.fresh(name):
                break
        else:
            return
        aliases = []
        if rng.random() < 0.2:
            alias = self.label(domain, kind, area)
            if self.fresh(alias):
                aliases.append(self.cased(alias) if rng.random() < 0.3 else alias)
        made = {"id": f"{domain}.e{len(self.entities)}", "name": self.cased(name), "aliases": aliases, "domain": domain}
        if area:
            made["area"] = area["id"]
        if kind:
            made["deviceClass"] = kind
        self.entities.append(made)

    def of(self, domains, kinds=None) -> list:
        return [e for e in self.entities if e["domain"] in domains and (not kinds or e.get("deviceClass") in kinds)]

    def area_of(self, entity):
        return next((a for a in self.areas if a["id"] == entity.get("area")), None)

    def floor_of(self, area):
        return next((f for f in self.floors if area and f["id"] == area.get("floor")), None)

    def said(self, thing: dict) -> str:
        """A name or alias, as somebody says it."""
        name = self.rng.choice([thing["name"], thing["name"], *thing["aliases"]])
        return name if self.rng.random() < 0.25 else name.lower()

    def document(self) -> dict:
        return {"language": "en", "floors": self.floors, "areas": self.areas, "entities": self.entities, "satellites": []}
