// Numbers, lists and counts in English, as text/english.py writes them: one way to write each.

const NO_NUMBER = "–";
const SMALL = 0.001;
const LARGE = 100;
const RAISED = { "-": "⁻", ...Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹"].entries()) };

/** 0.68, −0.20, 1,024.0. */
export function decimal(value, places = 2) {
  if (value === null || Number.isNaN(value)) return NO_NUMBER;
  const size = Number.isFinite(value) ? grouped(Math.abs(value).toFixed(places)) : "∞";
  return value < 0 && /[^0.]/.test(size) ? `−${size}` : size;
}

/** +0.12, −0.40; what rounds to 0 has no sign. */
export function signed(value, places = 2) {
  const text = decimal(value, places);
  return value > 0 && /[^0.]/.test(text) ? `+${text}` : text;
}

/** By how much one number is more than another, as both are written beside it. */
export function writtenDifference(value, other, places = 2) {
  return Number(value.toFixed(places)) - Number(other.toFixed(places));
}

/** 1,024. */
export function whole(value) {
  return decimal(value, 0);
}

/** Three significant digits; below 0.001 two and a power of ten, from 100 on a whole number. */
export function quantity(value) {
  if (value === null || !Number.isFinite(value)) return decimal(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  return value < 0 ? `−${sized(size)}` : sized(size);
}

function sized(size) {
  if (size >= LARGE) return whole(size);
  if (size >= SMALL) return size.toPrecision(3);
  const [mantissa, exponent] = size.toExponential(1).split("e");
  return `${mantissa}·10${[...exponent].map((digit) => RAISED[digit]).join("")}`;
}

/** 68.1%. */
export function percent(value, places = 1) {
  const text = decimal(hundredfold(value), places);
  return text === NO_NUMBER ? text : `${text}%`;
}

/** A difference of shares in percentage points: −2.1. */
export function signedPercent(value, places = 1) {
  return signed(hundredfold(value), places);
}

/** " (95% CI 65.2–74.5)", or nothing where there is none; a dash beside a sign would read as one. */
export function interval(low, high) {
  if (low === NO_NUMBER || high === NO_NUMBER) return "";
  const isSigned = [low, high].some((end) => /^[−+]/.test(end));
  return ` (95% CI ${low}${isSigned ? " to " : "–"}${high})`;
}

/** 70.0% (95% CI 65.2–74.5). */
export function percentInterval(value, low, high) {
  return `${percent(value)}${percentEnds(low, high)}`;
}

/** The interval of a share alone, to follow the share and what it is of. */
export function percentEnds(low, high) {
  return interval(...[low, high].map((end) => decimal(hundredfold(end), 1)));
}

/** p = 0.012, p < 0.001. */
export function pValue(value) {
  const cell = pCell(value);
  return cell.startsWith("<") ? `p ${cell}` : `p = ${cell}`;
}

/** 0.012, < 0.001: for a table whose column says that it is one. */
export function pCell(value) {
  return value !== null && value < SMALL ? `< ${SMALL}` : decimal(value, 3);
}

/** 1 group, 1,024 groups. */
export function counted(number, noun, plural = `${noun}s`) {
  return `${whole(number)} ${number === 1 ? noun : plural}`;
}

/** a, b and c. */
export function listed(names, last = "and") {
  const start = names.slice(0, -1).join(", ");
  return [start, ...names.slice(-1)].filter(Boolean).join(` ${last} `);
}

function hundredfold(value) {
  return value === null ? null : 100 * value;
}

function grouped(digits) {
  const [integer, fraction] = digits.split(".");
  const parted = integer.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? parted : `${parted}.${fraction}`;
}

/** A place in a picture, as SVG is given it. */
export function coordinate(value) {
  return value.toFixed(1);
}
