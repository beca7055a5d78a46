"""Made-up words and names. Every word belongs to exactly one side: training or held out."""

import random
import zlib

ROOMS = """kitchen|living room|bedroom|bathroom|office|hallway|garage|basement|attic|dining room|guest room|nursery|hall
|laundry room|master bedroom|kids room|study|garden|patio|porch|balcony|terrace|utility room|playroom|conservatory|library
|gym|workshop|pantry|closet|entrance|entryway|lounge|den|family room|spare room|shed|driveway|backyard|front yard|toilet
|cellar|loft|stairs|corridor|foyer|game room|home office|main bedroom|guest bathroom|kids bedroom|media room|mud room
|sun room|front room|back garden|server room|music room|dressing room|storage room|bath|yard|greenhouse|pool|deck|studio
|landing|kitchenette|living area|washroom|boiler room|craft room|reading nook|upstairs hallway|cloakroom""".replace("\n", "").split("|")
ROOM_NOUNS = "room bedroom bathroom office hallway closet garden studio suite corridor lounge kitchen garage lobby house".split()
FLOORS = "ground first second third fourth top upper lower main middle bottom".split()
PEOPLE = """emma liam olivia noah ava lucas mia oliver sophia jack anna peter maria tom sarah david laura mark nina paul julia
max lena ben sam kate alex ivan rosa hugo ella leo zoe finn ruby omar priya chen yuki diego fatima jonas clara theo ines
marta felix amir greta hannah mateo aisha sven""".split()
MODIFIERS = """front back left right small big old new main upper lower outdoor indoor smart cozy magic wooden metal glass
silver golden red blue green black white purple orange tiny tall round square quiet loud fast slow hidden secret corner
ceiling floor table desk bedside wall window reading standing hanging hot cold warm cool portable spare second north south
east west central inner outer double single tower island cabinet mirror sofa bed shelf sink stove plant fish cat dog bird
tiger dragon rocket moon star sun cloud river mountain forest ocean stone maple oak pine cherry lemon apple berry honey
coffee tea candy pixel turbo nova echo delta alpha omega comet ranger falcon velvet copper crystal ivory jade amber coral
misty frosty sunny lucky happy sleepy grumpy fuzzy rusty dusty crazy brave royal vintage modern classic retro deluxe mini
mega super ultra guest family baby kids holiday summer winter spring autumn morning evening night party""".split()
DEVICES = """heater|radio|coffee machine|kettle|toaster|tv|television|humidifier|dehumidifier|air purifier|printer|computer
|monitor|charger|dishwasher|washing machine|dryer|oven|fridge|freezer|speaker|stereo|projector|router|pump|sprinkler
|fountain|doorbell|alarm|camera|socket|plug|outlet|switch|boiler|water heater|diffuser|vacuum|aquarium|lamp|light|fan
|console|amplifier|microwave|air fryer|electric blanket|siren|treadmill|hot tub|sauna|server|screen|mixer|grill|iron
|thermostat|air conditioner|soundbar|night light|power strip|ventilation|extractor""".replace("\n", "").split("|")
NOUNS = {
    "light": "lamp|light|bulb|chandelier|sconce|spotlight|lantern|night light|light strip|led strip|floor lamp|downlight|spot",
    "cover": "blind|curtain|shade|shutter|awning|door|gate|window|skylight|garage door|roller blind|screen",
    "lock": "door|gate|lock|deadbolt|safe|padlock|door lock|entrance|smart lock",
    "fan": "fan|ceiling fan|tower fan|ventilator",
    "climate": "thermostat|heater|radiator|air conditioner|ac|boiler|heat pump|hvac|heating|aircon",
    "media_player": "speaker|tv|radio|stereo|soundbar|television|receiver|projector|speakers|chromecast|player",
    "vacuum": "vacuum|robot|hoover|vacuum cleaner|robovac|cleaner|robot vacuum",
    "button": "button|doorbell|trigger|bell|buzzer",
}
NOUNS = {k: v.split("|") for k, v in NOUNS.items()}
BARE = {"lock", "climate", "media_player", "vacuum"}
FIXTURES = "fairy christmas string tree accent cabinet mood party strip spot ambient flood".split()
SCENES = """movie night|good night|good morning|relax|bedtime|reading|dinner|romantic|party|focus|sunset|sunrise|away|wake up
|cinema|work|study time|calm|energize|cleaning|night mode|game night|leaving home|arrive home|vacation""".replace("\n", "").split("|")
FOODS = """milk bread eggs butter cheese apples bananas rice pasta tomatoes onions garlic potatoes chicken beef fish salt sugar
flour coffee tea juice water beer wine soap shampoo toothpaste batteries paper towels cereal yogurt honey jam olives carrots
lettuce peppers mushrooms cookies chocolate nuts oranges lemons grapes spinach beans lentils tofu oil vinegar sponges
detergent candles napkins foil tape nails screws paint glue pencils envelopes stamps cat litter dog food diapers""".split()
UNITS = "two|three|six|some|more|a bottle of|a box of|a bag of|a loaf of|a pack of|a kilo of|fresh|frozen|organic".split("|")
LISTS = "to do|todo|hardware|christmas|packing|wish|birthday|work|garden|party|chores|weekend|travel|book|movie".split("|")
TIMERS = "pizza|egg|eggs|pasta|laundry|tea|oven|cake|rice|bread|workout|nap|homework|cookies|chicken|parking|study|break".split("|")

ONSETS = "b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sc sh sk sl sm sn sp st str t th tr v w y z".split() + [""] * 4
NUCLEI = "a a e e i i o o u y ai ea ee ie oa oo ou".split()
CODAS = ["", "", "", "", "b", "ck", "d", "g", "k", "l", "ll", "m", "n", "nd", "ng", "nt", "p", "r", "rk", "rn", "s", "ss", "st", "t", "th", "x", "z", "v"]


def held_out(word: str) -> bool:
    """One word in eight is never shown in training; which ones depends on the word alone."""
    return zlib.crc32(word.lower().encode()) % 8 == 0


class Names:
    """Draws names whose words all lie on one side of the split."""

    def __init__(self, rng: random.Random, heldout: bool):
        self.rng, self.heldout = rng, heldout

    def pick(self, words):
        side = [w for w in words if held_out(w) == self.heldout]
        return self.rng.choice(side or words)

    def invented(self) -> str:
        rng = self.rng
        while True:
            count = rng.choices((1, 2, 3), (2, 6, 2))[0]
            word = "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS) for _ in range(count))
            if 3 <= len(word) <= 11 and held_out(word) == self.heldout:
                return word

    def word(self) -> str:
        """A word to copy: mostly invented, sometimes an everyday modifier or a person's."""
        kind = self.rng.random()
        if kind < 0.5:
            return self.invented()
        if kind < 0.85:
            return self.pick(MODIFIERS)
        return self.pick(PEOPLE) + self.rng.choice(["'s", "'s", "s", ""])

    def words(self, most: int) -> str:
        return " ".join(self.word() for _ in range(self.rng.randint(1, most)))

    def area(self) -> tuple[str, str]:
        """(text, kind): a `room` is recognisable as a room by its last word, a `free` one only by its place in the sentence."""
        kind = self.rng.random()
        if kind < (0.2 if self.heldout else 0.55):
            return (self.rng.choice(ROOMS), "room") if not self.heldout else (self.words(1) + " room", "room")
        if kind < 0.8:
            return f"{self.words(1)} {self.rng.choice(ROOM_NOUNS)}", "room"
        return self.words(2), "free"

    def floor(self) -> str:
        kind = self.rng.random()
        if kind < 0.25:
            return self.rng.choice(["upstairs", "downstairs"])
        return (self.rng.choice(FLOORS) if kind < 0.8 else self.invented()) + " floor"

    def device(self, domain: str) -> str:
        rng, number = self.rng, f" {self.rng.randint(1, 12)}" if self.rng.random() < 0.06 else ""
        if domain == "light" and rng.random() < 0.12:
            return rng.choice(FIXTURES) + " lights"
        if domain in NOUNS:
            noun = self.short(rng.choice(NOUNS[domain]))
            if rng.random() < (0 if self.heldout else 0.2) and (domain in BARE or " " in noun and domain != "cover"):
                return noun  # where it cannot be taken for a whole domain, as `fan` or `window` would be
            return f"{self.words(2)} {noun}{number}"
        special = {"scene": SCENES, "script": SCENES, "todo": LISTS}
        if domain in special:
            return self.words(2) if rng.random() < 0.5 or self.heldout else rng.choice(special[domain])
        if domain == "weather":
            return self.invented() if rng.random() < 0.8 else self.words(2)
        return self.generic() + number

    def short(self, noun: str) -> str:
        return noun.upper() if noun in ("tv", "ac", "hvac") and self.rng.random() < 0.4 else noun

    def generic(self) -> str:
        """Any switchable thing: `radio`, `kitchen radio`, `zorvex heater`, `blue dragon`."""
        rng, noun = self.rng, self.short(self.rng.choice(DEVICES))
        kind = rng.random()
        if kind < 0.1 and not self.heldout and noun not in ("light", "lamp", "fan"):
            return noun
        if kind < 0.25 and not self.heldout and noun not in ("light", "lamp", "fan"):
            return f"{rng.choice(ROOMS)} {noun}"
        if kind < 0.7:
            return f"{self.words(2)} {noun}"
        return self.words(3)

    def item(self) -> str:
        rng = self.rng
        thing = self.invented() if rng.random() < 0.35 else self.pick(FOODS)
        if rng.random() < 0.2:
            thing += " and " + self.pick(FOODS)
        return f"{rng.choice(UNITS)} {thing}" if rng.random() < 0.3 else thing

    def task(self) -> str:
        """What goes on a to-do list."""
        rng = self.rng
        if rng.random() < 0.4:
            return self.item()
        verb = rng.choice("call|pay|clean|wash|fix|buy|feed|visit|email|book|order|return|water|pick up|renew|cancel|send|read|write".split("|"))
        return f"{verb} {rng.choice(('', 'the ', 'the ', 'my '))}{self.words(2)}"

    def query(self) -> str:
        return " ".join(self.pick(FOODS) if self.rng.random() < 0.15 else self.word() for _ in range(self.rng.randint(1, 4)))

    def timer(self) -> str:
        return self.words(1) if self.heldout or self.rng.random() < 0.6 else self.rng.choice(TIMERS)

    def message(self) -> str:
        return self.rng.choice(["dinner is ready", "we are leaving", "time for bed", "the {} is here", "{} please come to the {}",
            "i am home", "come down for {}", "the {} is {}", "{} is at the door", "lunch with {}"]).replace("{}", "\0").replace(
            "\0", self.pick(FOODS + PEOPLE), 1).replace("\0", self.word())
