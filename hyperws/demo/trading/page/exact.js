// Prices as they come: strings of decimals, whose digits are counted as integers without a bound. A float can't
// hold 0.1; so nothing here is ever one.

// "228.41" as 22841n.
export function units(text) {
  return BigInt(text.replace(".", ""));
}

// 22841n with two places as "228.41".
export function decimal(units, places) {
  const digits = String(units < 0n ? -units : units).padStart(places + 1, "0");
  return `${units < 0n ? "−" : ""}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}
