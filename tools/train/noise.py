"""How people and speech recognisers say it: politeness, case, typos. Slots are private-use characters and stay untouched."""

import re

BEFORE = """please|could you|could you please|can you|can you please|would you|would you please|hey|hey please|ok|okay|um|uh|so
|hi|hello|hey can you|i want you to|i'd like you to|go ahead and|just|now|quick|alright|well|hey there|computer|can we|let's
|i need you to|i would like you to|maybe|hey computer|ok house|listen|right|now please|yo|excuse me""".replace("\n", "").split("|")
AFTER = """please|thanks|thank you|for me|now|right now|for me please|ok|okay|if you can|would you|quickly|again|already
|thank you very much|please and thank you|will you|asap|when you can|right away|man|buddy|at once""".replace("\n", "").split("|")
BEFORE_HELD = "be so kind and|do me a favor and|would you mind and|kindly|hello there could you|i was hoping you could".split("|")
AFTER_HELD = "if you would|if possible|many thanks|immediately|my friend|pretty please|cheers".split("|")

SOUNDS_LIKE = {
    "lights": ["lites", "light's", "lightes"], "light": ["lite"], "to": ["too", "two", "tu"], "turn": ["tern", "tun", "trun"],
    "off": ["of", "offf"], "on": ["onn"], "for": ["four", "fore"], "set": ["sett", "sat"], "the": ["teh", "da", "th"],
    "what's": ["whats", "wats"], "what": ["wat", "wot"], "please": ["pleas", "plz", "pls"], "degrees": ["degree", "degress"],
    "percent": ["per cent", "precent"], "temperature": ["temprature", "temperture"], "timer": ["timmer", "time or"],
    "minutes": ["minuts", "mins", "min"], "blinds": ["blindes"], "close": ["clothes", "cloes"], "open": ["opn", "oben"],
    "could": ["cud"], "you": ["u", "ya"], "switch": ["swich", "swithc"], "and": ["an", "n"], "is": ["iz"], "are": ["r"],
    "add": ["ad", "at"], "list": ["lisst"], "shopping": ["shoping"], "play": ["pley"], "brightness": ["britness"], "color": ["colour"],
    "weather": ["whether"], "volume": ["volum"], "pause": ["paws"], "lock": ["loc"], "my": ["me"], "in": ["inn"],
}
SKIPPABLE = {"the", "my", "to", "of", "is", "a", "in", "are"}
KEPT = {"on", "off", "up", "down", "open", "close", "lock", "unlock", "next", "no"}


def polite(text: str, rng, heldout: bool) -> str:
    before, after = (BEFORE_HELD, AFTER_HELD) if heldout and rng.random() < 0.3 else (BEFORE, AFTER)
    kind = rng.random()
    if kind < 0.2 or kind > 0.92:
        text = f"{rng.choice(before)} {text}"
    if 0.2 <= kind < 0.35 or kind > 0.92:
        text = f"{text} {rng.choice(after)}"
    return text


def misspell(word: str, rng) -> str:
    if word in SOUNDS_LIKE and rng.random() < 0.6:
        return rng.choice(SOUNDS_LIKE[word])
    if len(word) < 4 or not word.isalpha():
        return word
    at = rng.randrange(1, len(word) - 1)
    return rng.choice([word[:at] + word[at + 1:], word[:at] + word[at] + word[at:], word[:at] + word[at + 1] + word[at] + word[at + 2:]])


def typos(text: str, rng) -> str:
    words = text.split(" ")
    spots = [i for i, w in enumerate(words) if not re.search("[\ue000-\uf8ff]", w)]
    for i in rng.sample(spots, min(len(spots), rng.choice((1, 1, 2)))):
        if words[i] in SKIPPABLE and rng.random() < 0.5:
            words[i] = ""
        elif words[i] not in KEPT or rng.random() < 0.3:
            words[i] = misspell(words[i], rng)
    return " ".join(w for w in words if w)


def letter_case(text: str, rng) -> str:
    """Spoken text is mostly lower case; keyboards write sentences, now and then with capitals all over."""
    kind = rng.random()
    if kind < 0.68:
        return text
    if kind < 0.69:
        return text.upper()
    if kind < 0.72:
        return " ".join(w[:1].upper() + w[1:] for w in text.split(" "))
    return text[:1].upper() + text[1:]


def ending(text: str, rng, question: bool) -> str:
    return text + rng.choices(["", "?" if question else ".", "!" if not question else "?"], (70, 26, 4))[0]
