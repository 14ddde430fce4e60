// Colours by number; the stops themselves are in the style sheet, one set for light and one for dark.

const LEVELS = 128;
let tables = {};

const channels = (text) => {
  const hex = text.trim().replace('#', '');
  return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
};

function table(stops) {
  return Array.from({ length: LEVELS + 1 }, (_, i) => {
    const place = (i / LEVELS) * (stops.length - 1);
    const left = Math.min(Math.floor(place), stops.length - 2);
    return stops[left].map((a, c) => Math.round(a + (stops[left + 1][c] - a) * (place - left)));
  });
}

export function reread() {
  const style = getComputedStyle(document.documentElement);
  const stops = (name) => style.getPropertyValue(name).trim().split(/\s+/).map(channels);
  tables = { gradient: table(stops('--gradient')), state: table(stops('--state')), gate: table(stops('--gate')),
    below: channels(style.getPropertyValue('--below')), cut: channels(style.getPropertyValue('--cut')),
    missing: channels(style.getPropertyValue('--missing')), ground: style.getPropertyValue('--ground').trim() };
}

const pick = (name, share) =>
  Number.isFinite(share) ? tables[name][Math.round(Math.min(Math.max(share, 0), 1) * LEVELS)] : tables.missing;

export const gradient = (log, [low, high]) => pick('gradient', (log - low) / (high - low));
export const state = (value, scale) => pick('state', 0.5 + value / (2 * scale || 1));
export const gate = (value) => pick('gate', value);
export const css = (rgb) => `rgb(${rgb.join(' ')})`;
export const fate = (what) => ({ below: tables.below, zero: tables.below, cut: tables.cut, unbounded: tables.missing })[what] ?? null;
export const ground = () => tables.ground;
