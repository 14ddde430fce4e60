// Where each row of the strip stands, and which steps are in the window.

import { stateName } from 'data';

export const SMALL = 620;

export function windowOf(trace, state, width) {
  if (state.from !== null) return [state.from, Math.min(state.to, trace.steps)];
  const room = Math.max(24, Math.floor((width - gutterOf(width)) / (width < SMALL ? 7 : 8)));
  if (trace.steps <= room) return [0, trace.steps];
  const ahead = Math.floor(room / 10);
  const reverse = trace.layers[state.layer].reverse;
  const stop = reverse ? Math.max(room, state.loss + room - ahead) : state.loss + 1 + ahead;
  const to = Math.min(trace.steps, Math.max(room, stop));
  return [to - room, to];
}

export const gutterOf = (width) => (width < SMALL ? 58 : 124);

export function scaleOf(width, [from, to]) {
  const left = gutterOf(width);
  const cell = (width - left - 8) / (to - from);
  return {
    left, from, to, cell, right: width - 8, count: to - from,
    x: (t) => left + (t - from) * cell,
    middle: (t) => left + (t - from + 0.5) * cell,
    step: (x) => Math.min(to - 1, Math.max(from, from + Math.floor((x - left) / cell))),
  };
}

const UNIT = { state: 5, sigmoid: 2, tanh: 2, relu: 5 };

// Rows from top to bottom: losses, layers (the chosen one unfolded), what is read, the gradient, arcs, weights.
export function rowsOf(trace, state, width) {
  const rows = [];
  let y = 30;
  const row = (kind, height, gap, more = {}) => {
    rows.push({ kind, y, height, ...more });
    y += height + gap;
  };
  row('losses', 54, 12);
  for (let i = trace.layers.length - 1; i >= 0; i -= 1) {
    const layer = trace.layers[i];
    if (i !== state.layer) {
      if (layer.timelines.length) row('folded', 2 * 8, 12, { layer, index: i, timeline: layer.timelines[0], unit: 2, units: 8 });
      continue;
    }
    layer.timelines.forEach((timeline, n) => {
      const wide = timeline.kind === 'state' || layer.timelines.length === 1;
      const units = timeline.values[state.sample].length;
      const unit = wide ? Math.max(UNIT.state, Math.min(12, 40 / units)) : Math.max(UNIT.sigmoid, 16 / units);
      const last = n === layer.timelines.length - 1;
      row('timeline', unit * units, last ? 14 : 5, { layer, timeline, unit, units });
    });
  }
  if (trace.symbols) row('symbols', 20, 4);
  const narrow = trace.inputs.length > 3;
  trace.inputs.forEach((input, i) => row('input', narrow ? 6 : 22, narrow ? 1 : 4, { input, narrow, index: i }));
  if (trace.symbols && trace.targets) row('targets', 16, 2);
  row('axis', 18, 12);
  row('gradient', 28, 3, { name: stateName(trace.layers[state.layer]) });
  row('arcs', width < SMALL ? 70 : 108, 8);
  row('all', 10, 14);
  if (trace.layers[state.layer].weights.length) row('weights', 46, 6);
  return { rows, height: y + 2, find: (kind) => rows.find((one) => one.kind === kind) };
}

// Round steps for the axis, few enough to be read.
export function ticks(scale) {
  const wanted = Math.max(1, (scale.right - scale.left) / 70);
  const raw = scale.count / wanted;
  const size = 10 ** Math.floor(Math.log10(Math.max(raw, 1)));
  const every = [1, 2, 5, 10].map((m) => m * size).find((step) => step >= raw) ?? 10 * size;
  const first = Math.ceil(scale.from / every) * every;
  return Array.from({ length: Math.max(0, Math.ceil((scale.to - first) / every)) }, (_, i) => first + i * every);
}

// Powers of ten to mark between two of them, 10⁰ among them where it lies between.
export function decades(low, high, most) {
  const every = [1, 2, 3, 5, 10, 20, 50, 100].find((size) => (high - low) / size <= most) ?? 500;
  const first = Math.ceil(low / every);
  return Array.from({ length: Math.floor(high / every) - first + 1 }, (_, i) => (first + i) * every);
}

// Neighbours of one kind, joined: [{what, from, to}].
export function runs(list, from, to) {
  const found = [];
  for (let t = from; t < to; t += 1) {
    const last = found[found.length - 1];
    if (last && last.what === list[t]) last.to = t + 1;
    else found.push({ what: list[t], from: t, to: t + 1 });
  }
  return found;
}
