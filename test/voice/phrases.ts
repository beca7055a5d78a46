/** What the voice says, and what it means in examples/house.yaml, said in the living room. */

export const phrases = [
  { says: "turn on the reading lamp", means: [{ name: "HassTurnOn", slots: { name: "Reading Lamp" } }] },
  { says: "turn off the kitchen ceiling", means: [{ name: "HassTurnOff", slots: { name: "Kitchen Ceiling" } }] },
  { says: "switch on the fairy lights", means: [{ name: "HassTurnOn", slots: { name: "Fairy Lights" } }] },
  { says: "turn off the coffee machine", means: [{ name: "HassTurnOff", slots: { name: "Coffee Machine" } }] },
  {
    says: "dim the hallway light to twenty percent",
    means: [{ name: "HassLightSet", slots: { name: "Hallway Light", brightness: 20 } }],
  },
  {
    says: "set the bedside lamp to fifty percent",
    means: [{ name: "HassLightSet", slots: { name: "Bedside Lamp", brightness: 50 } }],
  },
  {
    says: "turn on the lights in the kitchen",
    means: [{ name: "HassTurnOn", slots: { area: "Kitchen", domain: "light" } }],
  },
  { says: "turn off all the lights", means: [{ name: "HassTurnOff", slots: { domain: "light" } }] },
  {
    says: "turn off the bedroom lights",
    means: [{ name: "HassTurnOff", slots: { area: "Bedroom", domain: "light" } }],
  },
  { says: "open the garage door", means: [{ name: "HassTurnOn", slots: { name: "Garage Door" } }] },
  { says: "close the patio blind", means: [{ name: "HassTurnOff", slots: { name: "Patio Blind" } }] },
  {
    says: "set the bedroom shutter to thirty percent",
    means: [{ name: "HassSetPosition", slots: { name: "Bedroom Shutter", position: 30 } }],
  },
  { says: "lock the front door", means: [{ name: "HassTurnOn", slots: { name: "Front Door" } }] },
  {
    says: "is the front door locked",
    means: [{ name: "HassGetState", slots: { name: "Front Door", state: "locked" } }],
  },
  { says: "turn on the bedroom fan", means: [{ name: "HassTurnOn", slots: { name: "Bedroom Fan" } }] },
  {
    says: "set the living room thermostat to twenty one degrees",
    means: [{ name: "HassClimateSetTemperature", slots: { name: "Living Room Thermostat", temperature: 21 } }],
  },
  {
    says: "what is the temperature in the nursery",
    means: [{ name: "HassClimateGetTemperature", slots: { area: "Nursery" } }],
  },
  { says: "start rosie", means: [{ name: "HassVacuumStart", slots: { name: "Rosie" } }] },
  { says: "pause the kitchen radio", means: [{ name: "HassMediaPause", slots: { name: "Kitchen Radio" } }] },
  {
    says: "set the volume of the kitchen radio to forty percent",
    means: [{ name: "HassSetVolume", slots: { name: "Kitchen Radio", volume_level: 40 } }],
  },
  { says: "set a timer for ten minutes", means: [{ name: "HassStartTimer", slots: { minutes: 10 } }] },
  { says: "set a five minute timer", means: [{ name: "HassStartTimer", slots: { minutes: 5 } }] },
  { says: "cancel all timers", means: [{ name: "HassCancelAllTimers", slots: {} }] },
  { says: "what time is it", means: [{ name: "HassGetCurrentTime", slots: {} }] },
  { says: "where is anna", means: [{ name: "HassGetState", slots: { name: "Anna" } }] },
  { says: "activate movie night", means: [{ name: "HassTurnOn", slots: { name: "Movie Night" } }] },
  {
    says: "is the bedroom window open",
    means: [{ name: "HassGetState", slots: { name: "Bedroom Window", state: "on" } }],
  },
  {
    says: "turn on the desk lamp and close the garage door",
    means: [
      { name: "HassTurnOn", slots: { name: "Desk Lamp" } },
      { name: "HassTurnOff", slots: { name: "Garage Door" } },
    ],
  },
  {
    says: "turn off the reading lamp and set a timer for ten minutes",
    means: [
      { name: "HassTurnOff", slots: { name: "Reading Lamp" } },
      { name: "HassStartTimer", slots: { minutes: 10 } },
    ],
  },
];
