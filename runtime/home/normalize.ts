/**
 * A sentence as words that can be compared: no case, no accents, no punctuation, numbers as digits. It undoes what speech
 * recognisers and keyboards do differently: "Thirty-five °C", "35°C" and "thirty five degrees" become the same words.
 */

export interface Word {
  text: string;
  /** Where it stands in the sentence as given: [from, to). */
  from: number;
  to: number;
  /** Of a number. */
  value?: number;
}

const UNITS: Readonly<Record<string, string>> = {
  "%": "percent",
  "°": "degrees",
  º: "degrees",
  k: "kelvin",
  c: "celsius",
  f: "fahrenheit",
  min: "minutes",
  mins: "minutes",
  minuts: "minutes",
  sec: "seconds",
  secs: "seconds",
  hr: "hour",
  hrs: "hours",
  h: "hours",
  m: "minutes",
  s: "seconds",
};
/** Short units, which are words of their own only behind a number. */
const AFTER_NUMBER = new Set(["k", "c", "f", "h", "m", "s", "min", "mins", "sec", "secs", "hr", "hrs"]);

const ONES: Readonly<Record<string, number>> = Object.fromEntries(
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
    .split(" ")
    .map((word, value) => [word, value]),
);
const TENS: Readonly<Record<string, number>> = Object.fromEntries(
  "twenty thirty forty fifty sixty seventy eighty ninety".split(" ").map((word, i) => [word, 20 + 10 * i]),
);
const SPELLINGS: Readonly<Record<string, string>> = {
  fourty: "forty",
  ninty: "ninety",
  fiveteen: "fifteen",
  fourtyfive: "forty",
};
const DURATION = /^(hours?|minutes?|seconds?)$/;
const NEXT_SMALLER: Readonly<Record<string, string>> = { hour: "minutes", minute: "seconds" };

/** Letters without their accents; what stands for two letters becomes two. */
export function fold(text: string): string {
  return text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/ß/g, "ss")
    .replace(/æ/g, "ae")
    .replace(/œ/g, "oe")
    .replace(/ø/g, "o")
    .replace(/đ/g, "d")
    .replace(/ł/g, "l");
}

const PIECE = /(?<![\d/])[13]\/[24](?![\d/])|\d+(?:[.,]\d+)?|[\p{L}\p{M}]+(?:['’‘ʼ`][\p{L}\p{M}]+)*|%|°|º|½|¼|¾/gu;

function pieces(sentence: string): Word[] {
  const words: Word[] = [];
  for (const match of sentence.matchAll(PIECE)) {
    const [found] = match;
    const from = match.index;
    const to = from + found.length;
    if (found.includes("/")) {
      words.push(fraction({ "1/2": "½", "1/4": "¼", "3/4": "¾" }[found] ?? "½", from, to));
      continue;
    }
    if (/^\d/.test(found)) {
      const value = Number(found.replace(",", "."));
      const negative = /(^|\s)[-−–]$/.test(sentence.slice(0, from));
      words.push({ text: `${negative ? -value : value}`, from, to, value: negative ? -value : value });
      continue;
    }
    const before = words.at(-1);
    const plain = fold(found).replace(/['’‘ʼ`]/g, "'");
    const number = before?.value !== undefined && before.to === from;
    const unit = UNITS[plain] !== undefined && (!AFTER_NUMBER.has(plain) || number || before?.text === "degrees");
    if (found === "½" || found === "¼" || found === "¾") {
      const part = fraction(found, from, to);
      if (number)
        words.push(sumOf(words.pop()!, part)); // 18½
      else words.push(part);
    } else for (const text of spelled(unit ? UNITS[plain] : plain)) words.push({ text, from, to });
  }
  return words;
}

function sumOf(whole: Word, part: Word): Word {
  const value = whole.value! + part.value!;
  return { text: `${value}`, from: whole.from, to: part.to, value };
}

function fraction(found: string, from: number, to: number): Word {
  const value = { "½": 0.5, "¼": 0.25, "¾": 0.75 }[found]!;
  return { text: `${value}`, from, to, value };
}

/** What recognisers write for words that sound alike. */
const HEARD: Readonly<Record<string, string>> = { lite: "light", lites: "lights", blines: "blinds" };

/** "what's" and "whats" are the same; so are "per cent" and "percent", later. */
function spelled(text: string): string[] {
  const right = SPELLINGS[text] ?? HEARD[text] ?? text;
  if (right === "whats") return ["what's"];
  if (right === "dont") return ["don't"];
  if (right === "cant") return ["can't"];
  if (right === "isnt") return ["isn't"];
  if (right === "im") return ["i'm"];
  if (right === "percentage" || right === "prozent") return ["percent"];
  return [right];
}

interface Read {
  value: number;
  /** Words that it took. */
  count: number;
}

/** A number in words from `at` on: "twenty one", "one hundred and five", "two point five"; undefined if there is none. */
function numberAt(words: readonly Word[], at: number): Read | undefined {
  const whole = words[at]?.value !== undefined ? { value: words[at].value!, count: 1 } : spokenNumber(words, at);
  if (!whole) return undefined;
  const next = at + whole.count;
  if (words[next]?.text === "point") {
    const digits: number[] = [];
    for (let i = next + 1; digits.length < 3; i++) {
      const digit = words[i]?.value ?? ONES[words[i]?.text];
      if (digit === undefined || digit > 9 || !Number.isInteger(digit)) break;
      digits.push(digit);
    }
    if (digits.length > 0)
      return { value: Number(`${whole.value}.${digits.join("")}`), count: whole.count + 1 + digits.length };
  }
  return whole;
}

function spokenNumber(words: readonly Word[], at: number): Read | undefined {
  const text = (i: number) => words[i]?.text ?? "";
  let i = at;
  let value = 0;
  let seen = false;
  const small = () => {
    if (TENS[text(i)] !== undefined) {
      let sum = TENS[text(i++)];
      const one = ONES[text(i)];
      if (one !== undefined && one > 0 && one < 10) {
        sum += one;
        i++;
      }
      return sum;
    }
    return ONES[text(i)] !== undefined ? ONES[text(i++)] : undefined;
  };
  const first = small();
  if (first !== undefined) {
    value = first;
    seen = true;
  } else if (text(i) === "a" && (text(i + 1) === "hundred" || text(i + 1) === "thousand")) {
    value = 1;
    i++;
    seen = true;
  } else if (text(i) === "hundred" || text(i) === "thousand") {
    value = 1;
    seen = true;
  }
  if (!seen) return undefined;
  for (const [word, times] of [
    ["thousand", 1000],
    ["hundred", 100],
  ] as const) {
    if (text(i) !== word) continue;
    value *= times;
    i++;
    const before = i;
    if (text(i) === "and") i++;
    const rest = spokenNumber(words, i);
    if (rest && rest.value < times) {
      value += rest.value;
      i += rest.count;
    } else i = before;
    break;
  }
  return { value, count: i - at };
}

const FRACTIONS: Readonly<Record<string, number>> = { half: 50, halfway: 50, quarter: 25, third: 33 };

/** What sounds like a verb, where a thing follows. */
const SPOKEN_FIRST: Readonly<Record<string, string>> = { clothes: "close", cloze: "close", tern: "turn", luck: "lock" };

/** Words that are meant otherwise where they stand: "a our", "sixty ate", "ad milk to the list". */
function misheard(words: readonly Word[]): Word[] {
  return words.map((word, i) => {
    const before = words[i - 1]?.text ?? "";
    if (word.text === "our" && /^(an?|half)$/.test(before) && i > 0) return { ...word, text: "hour" };
    if (word.text === "ad" && i === 0) return { ...word, text: "add" };
    const after = words[i + 1]?.text ?? "";
    if (word.text === "of" && i === 1 && /^(turn|switch|shut)$/.test(before)) return { ...word, text: "off" };
    if (i === 0 && SPOKEN_FIRST[word.text] && /^(the|my|our|on|off)$/.test(after))
      return { ...word, text: SPOKEN_FIRST[word.text] };
    if (i === 0 && words.length === 2 && /^(whirs|wears|wares)$/.test(word.text)) return { ...word, text: "where's" };
    if (word.text === "lied" && /^(on|off|)$/.test(after)) return { ...word, text: "light" };
    const last = i === words.length - 1;
    if (last && TENS[before] !== undefined && (word.text === "ate" || word.text === "for"))
      return { ...word, text: word.text === "ate" ? "eight" : "four" };
    return word;
  });
}

/** The words of a sentence; see the top. */
export function wordsOf(sentence: string): Word[] {
  const words = misheard(pieces(sentence));
  const out: Word[] = [];
  for (let i = 0; i < words.length; ) {
    const used = duration(words, i, out) || number(words, i, out);
    if (used > 0) {
      i += used;
      continue;
    }
    const joined = words[i].text === "per" && words[i + 1]?.text === "cent" ? 2 : 1;
    const word = joined === 2 ? { ...words[i], text: "percent", to: words[i + 1].to } : words[i];
    out.push(word);
    i += joined;
  }
  return out;
}

function push(out: Word[], from: Word, to: Word, ...texts: (string | number)[]): void {
  for (const text of texts) {
    const value = typeof text === "number" ? text : undefined;
    out.push({ text: `${text}`, from: from.from, to: to.to, ...(value !== undefined && { value }) });
  }
}

/** Durations that are no plain number: "half an hour", "an hour and a half", "two and a half minutes". Returns the words it took. */
function duration(words: readonly Word[], at: number, out: Word[]): number {
  const text = (i: number) => words[at + i]?.text ?? "";
  const article = (i: number) => text(i) === "a" || text(i) === "an";
  const parts = { half: 30, quarter: 15 } as const;
  // half an hour, a quarter of an hour, three quarters of an hour
  for (const lead of [0, 1]) {
    if (lead === 1 && !article(0) && text(0) !== "three") continue;
    const kind = text(lead).replace(/^quarters$/, "quarter") as keyof typeof parts;
    if (parts[kind] === undefined) continue;
    let i = lead + 1;
    if (text(i) === "of") i++;
    if (article(i)) i++;
    else if (kind !== "half" || lead === 1) continue;
    const unit = text(i);
    const smaller = NEXT_SMALLER[unit.replace(/s$/, "")];
    if (!smaller) continue;
    push(out, words[at], words[at + i], parts[kind] * (text(0) === "three" ? 3 : 1), smaller);
    return i + 1;
  }
  const count = article(0) ? { value: 1, count: 1 } : numberAt(words, at);
  if (!count) return 0;
  const next = count.count;
  // two and a half hours, two and half hours, two and a ½ hours
  const half = text(next + 1) === "a" ? next + 2 : next + 1;
  if (text(next) === "and" && (text(half) === "half" || text(half) === "0.5")) {
    const unit = text(half + 1).replace(/s$/, "");
    if (NEXT_SMALLER[unit] && !article(0)) {
      push(out, words[at], words[at + half + 1], count.value, `${unit}s`, "and", 30, NEXT_SMALLER[unit]);
      return half + 2;
    }
  }
  // an hour and a half
  const unit = text(next).replace(/s$/, "");
  if (
    NEXT_SMALLER[unit] &&
    text(next + 1) === "and" &&
    text(next + 2) === "a" &&
    (text(next + 3) === "half" || text(next + 3) === "quarter")
  ) {
    const part = text(next + 3) === "half" ? 30 : 15;
    push(out, words[at], words[at + next + 3], count.value, text(next), "and", part, NEXT_SMALLER[unit]);
    return next + 4;
  }
  if (NEXT_SMALLER[unit] && text(next + 1) === "and" && text(next + 2) === "three" && text(next + 3) === "quarters") {
    push(out, words[at], words[at + next + 3], count.value, text(next), "and", 45, NEXT_SMALLER[unit]);
    return next + 4;
  }
  // a minute thirty
  const rest = NEXT_SMALLER[unit] ? numberAt(words, at + next + 1) : undefined;
  if (
    rest &&
    Number.isInteger(count.value) &&
    rest.value < 60 &&
    !/^(hours?|minutes?|seconds?|percent|degrees|and|point)$/.test(text(next + 1 + rest.count))
  ) {
    push(out, words[at], words[at + next + rest.count], count.value, text(next), "and", rest.value, NEXT_SMALLER[unit]);
    return next + 1 + rest.count;
  }
  if (article(0) && DURATION.test(text(1))) {
    push(out, words[at], words[at], 1);
    return 1;
  }
  // ½ a minute
  if (count.value < 1 && count.value > 0 && article(next) && NEXT_SMALLER[text(next + 1).replace(/s$/, "")]) {
    const whole = text(next + 1).replace(/s$/, "");
    push(out, words[at], words[at + next + 1], Math.round(count.value * 60), NEXT_SMALLER[whole]);
    return next + 2;
  }
  // 1.5 hours
  if (!Number.isInteger(count.value) && NEXT_SMALLER[unit]) {
    const whole = Math.floor(count.value);
    const rest = Math.round((count.value - whole) * 60);
    push(out, words[at], words[at + next], ...(whole > 0 ? [whole, `${unit}s`, "and"] : []), rest, NEXT_SMALLER[unit]);
    return next + 1;
  }
  return 0;
}

function number(words: readonly Word[], at: number, out: Word[]): number {
  const text = (i: number) => words[at + i]?.text ?? "";
  const negative = text(0) === "minus" || text(0) === "negative" ? 1 : 0;
  const read = numberAt(words, at + negative);
  if (read) {
    let { value, count } = read;
    if (
      text(negative + count) === "and" &&
      text(negative + count + 1) === "a" &&
      text(negative + count + 2) === "half"
    ) {
      value += 0.5;
      count += 3;
    }
    push(out, words[at], words[at + negative + count - 1], negative ? -value : value);
    return negative + count;
  }
  const share = FRACTIONS[text(0)];
  // The third floor is no share.
  const ordinal = text(0) === "third" && !/^(?:a|one|1)$/.test(out.at(-1)?.text ?? "");
  if (share !== undefined && !ordinal && !/^(past|to|an?|hour|minute|of)$/.test(text(1))) {
    const way = text(0) === "half" && text(1) === "way" ? 2 : 1;
    // "a third": the article belongs to it.
    if (out.at(-1)?.text === "a") out.pop();
    push(out, words[at], words[at + way - 1], share);
    return way;
  }
  return 0;
}
