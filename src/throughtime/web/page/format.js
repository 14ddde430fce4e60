// Numbers and formulas as they are read.

const RAISED = { '-': '⁻', 0: '⁰', 1: '¹', 2: '²', 3: '³', 4: '⁴', 5: '⁵', 6: '⁶', 7: '⁷', 8: '⁸', 9: '⁹' };
const LOWERED = '₀₁₂₃₄₅₆₇₈₉';

export const raised = (n) => [...String(n)].map((c) => RAISED[c]).join('');
export const lowered = (n) => [...String(n)].map((c) => LOWERED[c] ?? c).join('');
export const decade = (n) => (n === 0 ? '1' : n === 1 ? '10' : n === -1 ? '0.1' : `10${raised(n)}`);

const signed = (text) => text.replace('-', '−');

// 0.53, 3.1 × 10⁻⁵, −12
export function number(value, digits = 2) {
  if (value === null || value === undefined) return '–';
  if (Number.isNaN(value)) return 'not a number';
  if (!Number.isFinite(value)) return value > 0 ? 'infinite' : 'minus infinite';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) {
    return signed(size >= 10 ** digits ? String(Math.round(value)) : String(Number(value.toPrecision(digits))));
  }
  return power(Math.log10(size), digits, value < 0);
}

// The number whose base-10 logarithm this is, however small.
export function power(log, digits = 2, negative = false) {
  if (log === null || log === undefined) return '–';
  if (Number.isNaN(log)) return 'not a number';
  if (log === -Infinity) return 'exactly zero';
  if (log === Infinity) return 'infinite';
  if (log > -3 && log < 5) return number((negative ? -1 : 1) * 10 ** log, digits);
  let exponent = Math.floor(log);
  let lead = Number((10 ** (log - exponent)).toPrecision(digits));
  if (lead >= 10) [lead, exponent] = [lead / 10, exponent + 1];
  return `${negative ? '−' : ''}${lead} × 10${raised(exponent)}`;
}

// "2e-09" in somebody's sentence, as 2 × 10⁻⁹ that no line break splits.
export const plain = (text) => text.replace(/(^|[\s[(×])-(?=\d)/g, '$1−').replace(/(\d)e([+-]?)0*(\d+)\b/g, (_, digit, sign, exponent) =>
  `${digit}\u00a0×\u00a010${raised((sign === '-' ? '-' : '') + exponent)}`);

export const fixed = (value, digits = 2) =>
  Number.isFinite(value) ? signed(value.toFixed(digits).replace(/^-(0\.?0*)$/, '$1')) : number(value);

export const percent = (share) =>
  share > 0 && share < 0.001 ? 'under 0.1 %' : `${Number((100 * share).toPrecision(share > 0.1 ? 3 : 2))} %`;

export const steps = (n) => `${n} ${n === 1 ? 'step' : 'steps'}`;

export const glyph = (symbol) =>
  ({ '\n': '↵', ' ': '␣', '\t': '⇥', '\r': '␍', '': '∅' })[symbol] ?? (symbol.trim() === '' ? '␣' : symbol);

// "W_ih x_{t−1}" as nodes: what follows _ or ^ is set low or high.
export function formula(text) {
  const nodes = [];
  const pattern = /([_^])(?:\{([^}]*)\}|([A-Za-z0-9]+))/g;
  let last = 0;
  for (const match of text.matchAll(pattern)) {
    nodes.push(text.slice(last, match.index));
    const set = document.createElement(match[1] === '_' ? 'sub' : 'sup');
    set.textContent = match[2] ?? match[3];
    nodes.push(set);
    last = match.index + match[0].length;
  }
  return [...nodes, text.slice(last)];
}
