"""Sentences that are no home command; the answer to all of them is {"intent":"none"}."""

from words import PEOPLE, ROOMS

TOPICS = """history|physics|love|war|the roman empire|democracy|photosynthesis|black holes|dinosaurs|the moon|mars|jazz
|opera|chess|football|tennis|cricket|poetry|shakespeare|mathematics|algebra|prime numbers|evolution|genetics|volcanoes
|earthquakes|the ocean|whales|penguins|elephants|spiders|gravity|electricity|magnets|the stock market|inflation|bitcoin
|taxes|philosophy|religion|buddhism|yoga|meditation|marathon running|cooking|baking|gardening|photography|painting|sculpture
|architecture|bridges|airplanes|trains|submarines|rockets|robots|artificial intelligence|neural networks|databases
|the internet|python|javascript|compilers|operating systems|climate change|solar energy|nuclear power|vaccines
|the immune system|dreams|memory|friendship|happiness|time travel|parallel universes|ancient egypt|vikings|pirates|knights
|dragons|fairy tales|travel|japan|brazil|france|germany|canada|kenya|india|australia|norway|peru|egypt|london|paris|new york
|tokyo|berlin|madrid|smart homes|light bulbs|lamps|fans|thermostats|home automation|curtains|doors and windows|locks|timers
|shopping|kitchens|bathrooms|bedrooms|living rooms|vacuum cleaners|music players|weather forecasts|thermodynamics|colors
|brightness""".replace("\n", "").split("|")
THINGS = """car|house|boat|cat|dog|horse|tree|book|guitar|piano|bicycle|bridge|castle|mountain|river|cake|pizza|laptop|phone
|company|school|garden|kitchen|lamp|radio|fan|heater|door|window|lock|fridge|sofa|teacher|doctor|pilot|king|queen|child
|friend|neighbor|tiger|rabbit|song|movie|poem|planet|star|light bulb|vacuum|thermostat|bedroom|bathroom""".replace("\n", "").split("|")
DOINGS = """fly a kite|learn to swim|bake bread|fix a bike|write a book|tie a tie|lose weight|save money|speak french
|play chess|grow tomatoes|raise a puppy|build a shed|paint a wall|invest money|find a job|sleep better|stop worrying
|make friends|solve a puzzle|cook rice|run faster|sing better|draw a horse|install a lamp|repair a fan|clean a carpet
|choose a sofa|wire a switch|replace a lock|hang curtains|mow grass|descale a kettle|lubricate a door|learn guitar
|pass an exam""".replace("\n", "").split("|")
ADJECTIVES = """best worst biggest smallest oldest fastest strangest funniest most_expensive cheapest tallest deepest longest
rarest most_beautiful""".split()
FORMS = """poem story song essay letter joke haiku limerick summary report speech tweet blog_post short_story love_letter
cover_letter email recipe riddle rap dialogue function program script""".split()
FEELINGS = """happy sad tired bored lonely angry excited nervous hungry confused great sick proud jealous afraid in_love""".split()

TEMPLATES = """what is the capital of {w}|what is the capital of {topic}|who is {person}|who was {person} {w}|where is {w}
|what is {topic}|what are {topic}|tell me about {topic}|explain {topic}|explain {topic} to a child|why is {topic} important
|why do people like {topic}|what do you think about {topic}|do you know anything about {topic}|is {topic} difficult
|what is the history of {topic}|who invented {topic}|who invented the {thing}|when was the {thing} invented
|how does a {thing} work|how do {topic} work|how can i {doing}|how do i {doing}|teach me how to {doing}
|what is the best way to {doing}|should i {doing}|i want to {doing}|why should i {doing}|can you help me {doing}
|is it hard to {doing}|how long does it take to {doing}|what is the {adj} {thing} in the world|what is the {adj} {thing}
|which {thing} is the {adj}|who has the {adj} {thing}|how much does a {thing} cost|how many legs does a {thing} have
|what color is a {thing}|how heavy is a {thing}|how old is {person}|write a {form} about {topic}
|write a {form} about a {thing}|write me a {form} about {person}|compose a {form} for {person}
|write a {form} about turning on the {thing}|write a {form} about the {room}|tell me a {form}|tell me a {form} about {topic}
|tell me a {form} about a {thing} and a {thing}|give me a {form}|can you write a {form}|summarize this {form}
|translate {w} to {w}|translate {topic} into spanish|what does {w} mean|what does {w} {w} mean|define {w}|define {topic}
|how do you spell {w}|spell {w}|what rhymes with {w}|use {w} in a sentence|what is the opposite of {w}
|give me ten words like {w}|what is a synonym for {w}|what is {n} plus {n}|what is {n} times {n}|{n} minus {n}
|how much is {n} divided by {n}|what is the square root of {n}|convert {n} miles to kilometers|what is {n} percent of {n}
|calculate {n} + {n}|solve x + {n} = {n}|is {n} a prime number|i am {feeling}|i feel {feeling}|i feel {feeling} today
|i am so {feeling} because of {person}|are you {feeling}|do you ever feel {feeling}|how are you|how are you doing
|how was your day|what is your name|who are you|who made you|are you a robot|are you human|do you like {topic}
|do you have a {thing}|i like {topic}|i love {topic}|i hate {topic}|i bought a new {thing}|my {thing} is broken
|i bought a new {thing} for the {room}|my {thing} is {adj}|{person} has a {thing}|{person} loves {topic}
|{person} lives in {w}|good morning|good evening|good night {person}|hello|hi|hi there|hello {person}|hey|thank you|thanks
|thanks a lot|bye|goodbye|see you later|nice to meet you|you are funny|you are stupid|you are great|i love you
|do you love me|tell me something interesting|sing for me|what is the meaning of life|who won the game last night
|who is the president of {w}|when did {person} {w} die|when was {person} born|what happened in {n}
|what year did {person} {w} become famous|how far is {w} from {w}|how big is {w}|how many people live in {w}
|what language do they speak in {w}|what should i wear to {w}|what should i eat|recommend a {thing}
|recommend a book about {topic}|what is a good {thing} for {person}|which {thing} should i buy|compare {topic} and {topic}
|what is the difference between a {thing} and a {thing}|why is the {thing} so {adj}|why is the sky blue
|why is the {room} called {w}|what is a {thing}|what is a {w}|what is {w}|who is the {thing}|what is the {w} {thing}
|describe a {thing}|describe {w}|draw a {thing}|imagine a {thing} that can {doing}|once upon a time there was a {thing}
|the {thing} is on the {thing}|the {thing} jumped over the {thing}|{w} {w} {w}|{w} {w} {w} {w}|{w}|{w} is a {w} {thing}
|the {w} {thing}|complete this sentence the {thing} is|finish the {form}|proofread my {form}|rewrite my {form} about {topic}
|make my {form} shorter|write code that {code}|write a python function that {code}|fix this code|debug my {form}
|what does this error mean|generate a password|def {w}({w}):|import {w}|print {w}|list {n} facts about {topic}
|give me {n} reasons to {doing}|name {n} {topic}|count to {n}|book a flight to {w}|order a pizza|call {person}|call my mom
|send a message to {person}|text {person} that i am late|email {person} about {topic}|read my email|open the app
|search the web for {topic}|google {topic}|look up {w}|find a restaurant near {w}|navigate to {w}|drive me to {w}
|what time does the {w} store open|when is easter|when is {person}'s birthday|how many days until christmas
|remember that {person} likes {topic}|is the {thing} a good invention|are {topic} dangerous|is {person} a good {thing}
|is {w} a city|is {person} married|are there {topic} in {w}|how do lights work|what are the lights in the sky called
|what temperature does water boil at|how hot is the sun|how cold is {w} in winter|who turned on the lights in that movie
|what does it mean to turn on a {thing}|what is a dimmer|how do i install a {thing} in the {room}
|how much power does a {thing} use|can a {thing} catch fire|why does my {thing} make noise|when should i replace my {thing}
|do plants need light|should i turn off my {thing} at night|is it bad to leave the {thing} on|who painted the {thing}
|play chess with me|play a game with me|set theory is part of {topic}|add {n} and {n}|turn my {form} into a {form}
|turn this {form} around|open a bank account|close my account|lock picking is a {w} hobby|start a company with {person}
|stop being {feeling}|increase my salary|change my mind about {topic}|make me laugh|what is the color of {w}
|how bright is {w}|tell {person} a {form}|show me a {thing}|show me pictures of {w}|give me a {thing}""".replace("\n", "").split("|")
HELD = """what makes {topic} so special|which city is the capital of {w}|please write two lines on {topic}
|could a {thing} ever {doing}|my friend {person} asked me about {topic}|i was thinking about {topic}
|invent a {form} in which a {thing} meets {person}|how come {topic} exist|what did {person} say about the {thing}
|argue for and against {topic}|who wrote the {form} about {w}|where do i learn to {doing}|is there life on {w}
|what would happen if a {thing} could {doing}|say something nice to {person}|how is {person} feeling
|outline a {form} on {topic}|where can i buy a {thing}|does {person} own a {thing}|what's your favorite {thing}""".replace("\n", "").split("|")
CODE = """sorts a list|adds two numbers|reverses a string|reads a file|prints {w}
|finds primes|turns a list into a set|counts words|opens a file""".replace("\n", "").split("|")


def refusal(rng, names, heldout: bool) -> str:
    text = rng.choice(HELD if heldout and rng.random() < 0.5 else TEMPLATES)

    fill = {
        "topic": lambda: names.pick(TOPICS), "thing": lambda: names.pick(THINGS), "doing": lambda: names.pick(DOINGS),
        "form": lambda: names.pick(FORMS), "adj": lambda: names.pick(ADJECTIVES), "feeling": lambda: names.pick(FEELINGS),
        "person": lambda: names.pick(PEOPLE) if rng.random() < 0.6 else names.invented(), "room": lambda: rng.choice(ROOMS),
        "w": names.word, "n": lambda: str(rng.choice((rng.randint(1, 20), rng.randint(1, 3000)))), "code": lambda: rng.choice(CODE),
    }
    while "{" in text:
        start, end = text.index("{"), text.index("}")
        key = text[start + 1:end]
        said = fill[key]().replace("_", " ")
        text = text[:start] + (said.capitalize() if key in ("w", "person") and rng.random() < 0.25 else said) + text[end + 1:]
    return text
