"""Our own phrasings, in the template language of hassil. A key gives the intent, `area` or `name`, and fixed slots."""

PARAPHRASES = {
    "HassTurnOn area domain=light": [
        "(get|put|flip|power) [<the>] {area} lights on", "let there be light in [<the>] {area}",
        "(it is|it's) (too|so) dark in [<the>] {area}", "i need [some] light in [<the>] {area}",
        "(make it bright|lights) in [<the>] {area}", "(flip|power) on [<the>] {area} lights",
        "give me [some] light in [<the>] {area}", "(get|have) the lights (in|at) [<the>] {area} (turned|switched) on",
        "[<the>] {area} lights (need to be|should be) on",
    ],
    "HassTurnOff area domain=light": [
        "(kill|cut|shut off|power off|flip off) [<the>] {area} lights", "(kill|cut) the lights in [<the>] {area}",
        "[<the>] {area} lights (need to be|should be) off", "i do not need [any] light in [<the>] {area}",
        "make it dark in [<the>] {area}", "lights out in [<the>] {area}", "no (more lights|light) in [<the>] {area}",
        "(get|have) the lights (in|at) [<the>] {area} (turned|switched) off",
    ],
    "HassTurnOn area domain=fan": [
        "(get|put) [<the>] {area} fan on", "start [<the>] {area} fan[s]",
        "it is (hot|stuffy) in [<the>] {area} turn on the fan",
    ],
    "HassTurnOff area domain=fan": [
        "stop [<the>] {area} fan[s]", "shut off [<the>] {area} fan[s]", "shut [<the>] fan[s] in [<the>] {area} off",
    ],
    "HassTurnOn area domain=switch": [
        "<turn> on [<all>] [<the>] {area} (switches|plugs|outlets)",
        "<turn> [<all>] [<the>] (switches|plugs|outlets) in [<the>] {area} on",
    ],
    "HassTurnOff area domain=switch": [
        "<turn> off [<all>] [<the>] {area} (switches|plugs|outlets)",
        "<turn> [<all>] [<the>] (switches|plugs|outlets) in [<the>] {area} off",
    ],
    "HassTurnOn name": [
        "(power|fire|start) up [<the>] {name}", "(power|flip) on [<the>] {name}", "get [<the>] {name} (on|going|running)",
        "enable [<the>] {name}", "i (want|need) [<the>] {name} on", "(have|get) [<the>] {name} (turned|switched) on",
    ],
    "HassTurnOff name": [
        "(power|shut) down [<the>] {name}", "(power|flip|shut) off [<the>] {name}", "(kill|disable) [<the>] {name}",
        "shut [<the>] {name} off", "i (want|need) [<the>] {name} off", "i do not need [<the>] {name} [anymore]",
    ],
    "HassTurnOn name domain=light": [
        "light up [<the>] {name}", "illuminate [<the>] {name}",
    ],
    "HassTurnOn name domain=cover": [
        "(pull|roll) up [<the>] {name}", "[<the>] {name} up",
    ],
    "HassTurnOff name domain=cover": [
        "(pull|roll) down [<the>] {name}", "[<the>] {name} down",
    ],
    "HassTurnOn name domain=lock": [
        "(secure|bolt) [<the>] {name}", "make sure [<the>] {name} is locked",
    ],
    "HassTurnOn name domain=scene": [
        "(activate|start|set|enable) [<the>] {name} scene", "<turn> on [<the>] {name} scene",
        "(change|transition|switch) to [<the>] {name} scene", "(set|activate) scene {name}",
        "<turn> [<the>] {name} scene on",
    ],
    "HassTurnOn name domain=script": [
        "(run|start|execute|activate) [<the>] {name} script", "<turn> on [<the>] {name} script", "run script {name}",
    ],
    "HassLightSet area domain=light": [
        "(dim|brighten) [<the>] {area} lights to {brightness} percent",
        "(dim|brighten) [<the>] lights in [<the>] {area} to {brightness}%",
        "[<the>] {area} lights at {brightness} percent", "put [<the>] {area} lights (on|at) {brightness} percent",
        "i want [<the>] lights in [<the>] {area} at {brightness}%", "(paint|color) [<the>] {area} lights {color}",
        "i want {color} light in [<the>] {area}", "give me {color} lights in [<the>] {area}",
    ],
    "HassLightSet name domain=light": [
        "(dim|brighten) [<the>] {name} to {brightness} percent", "[<the>] {name} at {brightness}%",
        "put [<the>] {name} (on|at) {brightness} percent", "(paint|color) [<the>] {name} {color}",
    ],
    "HassClimateSetTemperature area": [
        "(make it|set it to|heat|warm|cool) [<the>] {area} to {temperature} degrees",
        "i want {temperature} degrees in [<the>] {area}", "make [<the>] {area} {temperature} degrees",
        "heat [<the>] {area} to {temperature}°",
    ],
    "HassClimateSetTemperature": [
        "make it {temperature} degrees [in here]", "i want it {temperature} degrees", "set it to {temperature} degrees",
    ],
    "HassClimateSetTemperature name": [
        "put [<the>] {name} (on|at) {temperature} degrees", "[<the>] {name} to {temperature} degrees",
    ],
    "HassClimateGetTemperature area": [
        "(how many degrees|what temperature) is it in [<the>] {area}", "is it (hot|cold|warm) in [<the>] {area}",
        "temperature in [<the>] {area}",
    ],
    "HassGetState name": [
        "(do you know|tell me|<what_is>) the [current] (state|value|status) of [<the>] {name}",
        "<what_is> the status of [<the>] {name}", "(status|state) of [<the>] {name}",
    ],
    "HassGetState name state=on": [
        "(did i leave|have i left) [<the>] {name} on", "check if [<the>] {name} is on",
    ],
    "HassGetState name domain=cover state=open": [
        "did i leave [<the>] {name} open", "check if [<the>] {name} is open",
    ],
    "HassGetState name domain=lock state=locked": [
        "did i lock [<the>] {name}", "check if [<the>] {name} is locked",
    ],
    "HassSetPosition name": [
        "(open|close|move) [<the>] {name} to {position} percent", "put [<the>] {name} at {position}%",
    ],
    "HassStartTimer": [
        "timer {timer_minutes:minutes} minutes", "count down {timer_minutes:minutes} minutes",
        "give me a {timer_minutes:minutes} minute timer", "wake me [up] in {timer_minutes:minutes} minutes",
        "i need a timer for {timer_minutes:minutes} minutes", "time {timer_minutes:minutes} minutes",
        "give me a {timer_seconds:seconds} second timer", "i need a timer for {timer_hours:hours} hours",
    ],
    "HassTimerStatus": [
        "how much longer [on the timer]", "when (does|will) [the|my] timer (end|finish|ring)", "how many minutes are left",
    ],
    "HassShoppingListAddItem": [
        "we (need|are out of) {shopping_list_item:item}", "(buy|get) {shopping_list_item:item}",
        "remember to buy {shopping_list_item:item}", "i need to buy {shopping_list_item:item}",
        "(write|put) {shopping_list_item:item} down for shopping", "we ran out of {shopping_list_item:item}",
    ],
    "HassMediaNext": [
        "next", "next (song|track) [please]", "skip (this song|this track|this|it)", "i don't like this song",
        "play the next (song|track)",
    ],
    "HassMediaPause": [
        "stop the (music|song|movie|video)", "pause (it|playback|the video)", "hold the music",
    ],
    "HassMediaUnpause": [
        "(keep|continue) playing", "continue the (music|movie|song)", "play again from there",
    ],
    "HassSetVolumeRelative volume_step=up": [
        "(make it |)louder", "(raise|crank up) the volume", "it is too quiet",
    ],
    "HassSetVolumeRelative volume_step=down": [
        "(make it |)quieter", "(lower|reduce) the volume", "it is too loud",
    ],
    "HassVacuumCleanArea area": [
        "(hoover|sweep) [<the>] {area}", "<clean> up [<the>] {area}", "<clean> the floor in [<the>] {area}",
        "<clean> in [<the>] {area}",
    ],
    "HassVacuumStart name": [
        "(run|launch) [<the>] {name}", "tell [<the>] {name} to (start|clean)",
    ],
    "HassVacuumReturnToBase name": [
        "(dock|send home) [<the>] {name}", "send [<the>] {name} (home|to its dock|to the base|back)",
        "tell [<the>] {name} to go home",
    ],
    "HassGetWeather": [
        "(is it going to|will it) (rain|snow) [today|tomorrow]", "do i need an umbrella [today]",
        "(how is|how's|what about) the weather [today|outside]", "<what_is> the [weather] forecast [for today]",
        "is it raining", "weather [forecast|report]",
    ],
    "HassGetCurrentTime": [
        "(do you have|tell me|got|give me) the time", "what time is it", "what's the time", "how late is it",
        "current time",
    ],
    "HassGetCurrentDate": [
        "(what|which) day is (it|today)", "what day of the (week|month) is it", "what is today's date",
        "which date is it [today]", "today's date", "tell me the date",
    ],
    "HassNevermind": [
        "forget (it|that|about it)", "(cancel|abort) that", "(no|oh) never mind", "nothing", "stop listening", "drop it",
    ],
}
