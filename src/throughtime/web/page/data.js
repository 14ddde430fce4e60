// The document, and what follows from it for one loss of one sequence. Nothing here draws.

export const num = (value) => (typeof value === 'string' ? Number(value) : value);
export const nums = (values) => values.map(num);

export function read() {
  return JSON.parse(document.getElementById('document').textContent);
}

export const stateName = (layer) => (layer.parts.length === 1 ? (layer.recurrent ? layer.parts[0] : 'x') : 'z');

const LN10 = Math.log(10);

function nearest(anchors, asked) {
  let best = 0;
  anchors.forEach((anchor, i) => {
    if (Math.abs(anchor - asked) < Math.abs(anchors[best] - asked)) best = i;
  });
  return best;
}

const beyond = (layer, wall, s, t) => (layer.reverse ? s < wall && t >= wall : s >= wall && t < wall);

function statusOf(layer, begun, flow, base, precision, wall, s, t) {
  const onTheWay = layer.reverse ? t >= s : t <= s;
  if (!onTheWay) return 'after';
  const value = flow[t];
  const other = layer.reverse ? begun[t] !== begun[s] : t < begun[s];
  if (value === null) return other ? 'reset' : 'absent';
  if (beyond(layer, wall, s, t)) return 'cut';
  if (Number.isNaN(value) || value === Infinity) return 'unbounded';
  if (value === -Infinity) return 'zero';
  return value - base < Math.log10(precision) ? 'below' : 'flow';
}

// Everything about the gradient of the chosen loss: its norm at each step, and what became of it.
export function followed(trace, state) {
  const layer = trace.layers[state.layer];
  const at = nearest(layer.anchors, state.loss);
  const s = layer.anchors[at];
  const flow = nums(layer.flow[state.sample][at]);
  const begun = trace.begun[state.sample];
  const base = flow[s] ?? null;
  const status = flow.map((_, t) => statusOf(layer, begun, flow, base, trace.precision, state.wall, s, t));
  const accumulated = nums(layer.accumulated[state.sample]);
  const relative = state.scale === 'relative' && Number.isFinite(base);
  const shown = (values, from) => (relative ? values.map((v) => (v === null ? null : v - from)) : values);
  return { layer, at, s, flow, base, status, begun, accumulated, asked: state.loss,
    shown: shown(flow, base), shownAll: shown(accumulated, accumulated[s]),
    domain: domain(trace, state, layer, at, relative ? base : null) };
}

const finite = (values) => values.map(num).filter((v) => v !== null && Number.isFinite(v));

function domain(trace, state, layer, at, base) {
  const rows = layer.flow[state.sample];
  const values = base === null ? rows.flatMap(finite) : finite(rows[at]).map((v) => v - base);
  const starts = base !== null ? [0] : finite(rows.map((row, i) => row[layer.anchors[i]]));
  if (!values.length) return [-1, 0];
  const fold = (pick, list) => list.reduce((a, b) => pick(a, b));
  const floor = fold(Math.min, starts.length ? starts : [0]) + Math.log10(trace.precision);
  const high = Math.ceil(fold(Math.max, values) - 1e-9);
  const low = Math.floor(Math.max(fold(Math.min, values), floor) + 1e-9);
  return [Math.min(low, high - 1), high];
}

// What the wall takes: the share of the summed norms, and the steps.
export function cutAway(view) {
  const gone = view.status.map((what) => what === 'cut');
  const steps = gone.filter(Boolean).length;
  const all = view.flow.map((v) => (v === null ? -Infinity : v));
  if (all.some((v) => Number.isNaN(v) || v === Infinity)) return { steps, share: null };
  const top = all.reduce((a, b) => Math.max(a, b), -Infinity);
  if (top === -Infinity) return { steps, share: 0 };
  const sum = (keep) => all.reduce((total, v, t) => (keep(t) ? total + 10 ** (v - top) : total), 0);
  return { steps, share: sum((t) => gone[t]) / sum(() => true) };
}

// The jumps from the loss at s back to step t: r in nats, its split or its shares by path.
export function journey(trace, state, view) {
  const { layer, s, flow } = view;
  const t = state.step;
  if (t === null || t === s || view.status[t] === 'after') return null;
  const way = layer.reverse ? 1 : -1;
  const split = layer.split;
  const shares = layer.shares?.[state.sample]?.[view.at] ?? [];
  const jumps = [];
  for (let k = s + way; k !== t + way; k += way) {
    const told = flow[k] !== null && flow[k - way] !== null && flow[k] - flow[k - way];
    const r = told === false || Number.isNaN(told) ? null : told * LN10; // none across a reset, nor from zero to zero
    jumps.push({
      from: k - way, to: k, r, factor: r === null ? null : Math.exp(r), status: view.status[k], left: flow[k] === null ? null : flow[k] - view.base,
      split: split && { squashing: num(split.squashing[state.sample][view.at][k]),
        weights: num(split.weights[state.sample][view.at][k]) },
      shares: shares.map((path) => num(path[k])),
    });
  }
  const whole = flow[t] === null || view.base === null ? null : (flow[t] - view.base) * LN10;
  const falling = jumps.filter((jump) => jump.r !== null && jump.status !== 'cut');
  const strongest = falling.reduce((a, b) => (a === null || b.r < a.r ? b : a), null);
  return { t, s, jumps, whole, strongest };
}

export function biggest(values) {
  return values.reduce((a, v) => (v !== null && Number.isFinite(v) && Math.abs(v) > a ? Math.abs(v) : a), 0);
}
