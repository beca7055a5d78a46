/** The formats of strings that schemas name, as expressions: a little narrower than their standards where those are lax. */

const DAY = "(0[1-9]|1\\d|2[0-8])";
const LEAP = "\\d\\d(0[48]|[2468][048]|[13579][26])";
const DATE = `(\\d{4}-(0[1-9]|1[0-2])-${DAY}|\\d{4}-(0[13-9]|1[0-2])-(29|30)|\\d{4}-(0[13578]|1[02])-31|${LEAP}-02-29)`;
const TIME = "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)";
/** One character shorter than allowed, so that four of them are within the 253 that a name may have. */
const LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,60}[a-zA-Z0-9])?";
const BYTE = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const GROUP = "[0-9a-fA-F]{1,4}";
const URI_PART = "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})";
const URI = `https?://${LABEL}(\\.${LABEL}){0,4}(:[1-9]\\d{0,3})?(/${URI_PART}{0,40}){0,8}(\\?(${URI_PART}|[/?]){0,80})?(#(${URI_PART}|[/?]){0,40})?`;

/** By name; each matches as a whole. */
export const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  "date-time": `${DATE}T${TIME}`,
  duration: "P(\\d{1,6}W|\\d{1,6}D(T\\d{1,6}[HMS])?|T\\d{1,6}[HMS]|\\d{1,6}Y(\\d{1,6}M(\\d{1,6}D)?)?)",
  email: `[a-zA-Z0-9_+-]{1,30}(\\.[a-zA-Z0-9_+-]{1,30})?@${LABEL}(\\.${LABEL}){1,3}`,
  hostname: `${LABEL}(\\.${LABEL}){0,3}`,
  ipv4: `${BYTE}(\\.${BYTE}){3}`,
  ipv6: `(${GROUP}:){7}${GROUP}|(${GROUP}:){1,6}:${GROUP}|::(${GROUP}:){0,5}${GROUP}|::`,
  uuid: "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
  uri: URI,
};
