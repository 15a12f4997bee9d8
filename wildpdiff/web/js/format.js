// Numbers, intervals and the names of regimes, as every part of the page writes them.

// What the bundle calls its regimes; see `know_regimes`.
const labels = new Map();
export const PLAIN_FORM = "paper's plain form";

export const percent = (share) => `${Math.round(100 * share)}%`;
// 94% (263/280)
export const counted = (right, count) => `${percent(right / count)} (${right}/${count})`;
// Two decimals with a true minus sign, and no minus before zero.
export const two = (value) => value.toFixed(2).replace(/^-0\.00$/, '0.00').replace('-', '−');
export const know_regimes = (about) => { for (const [name, { label }] of Object.entries(about)) labels.set(name, label); };
export const regime = (name) => labels.get(name) || name;

// The 95% Wilson interval of a share; equal to `wildpdiff.evaluate.wilson`.
export const wilson = (right, count) => {
  if (!count) return [0, 1];
  const z = 1.96, share = right / count, square = (z * z) / count;
  const centre = (share + square / 2) / (1 + square);
  const reach = (z * Math.sqrt((share * (1 - share)) / count + square / (4 * count))) / (1 + square);
  return [Math.max(0, centre - reach), Math.min(1, centre + reach)];
};
