// The jumps of a path, one bar each: how many nats it takes, and from where.

import { s as svg } from 'dom';
import { fixed } from 'format';

export const [LEFT, RIGHT] = [46, 8];
const [TOP, FOOT] = [8, 22];

// [{name, class, values [jump]}], stacked up and down from zero.
function stacked(series, count) {
  const stacks = Array.from({ length: count }, () => ({ up: 0, down: 0, parts: [] }));
  series.forEach((one) => one.values.forEach((value, i) => {
    if (value === null || value === undefined || !Number.isFinite(value) || value === 0) return;
    const stack = stacks[i];
    const side = value > 0 ? 'up' : 'down';
    stack.parts.push({ from: stack[side], to: stack[side] + value, kind: one.kind });
    stack[side] += value;
  }));
  return stacks;
}

const NICE = [0.1, 0.2, 0.25, 0.5, 1, 2, 2.5, 5, 10, 20, 25, 50, 100, 200, 500, 1000];

function levels(low, high) {
  const every = NICE.find((size) => (high - low) / size <= 5) ?? (high - low) / 4;
  const first = Math.ceil(low / every - 1e-9);
  const last = Math.floor(high / every + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * every).toPrecision(6)));
}

// The shares are drawn between −½ and 1½ at most: a share far beyond says that large paths cancel.
export function ladder({ jumps, series, totals, width, height, limit, strongest, y: given }) {
  const stacks = stacked(series, jumps.length);
  const whole = (totals ?? []).filter((v) => v !== null && Number.isFinite(v));
  const bound = (value) => (limit ? Math.min(Math.max(value, limit[0]), limit[1]) : value);
  const deepest = Math.min(0, ...stacks.map((one) => one.down), ...whole);
  const low = bound(strongest ? deepest * 1.25 : deepest);
  const high = bound(Math.max(given ?? 0, ...stacks.map((one) => one.up), ...whole, low + 1e-6));
  const cell = (width - LEFT - RIGHT) / jumps.length;
  const wide = Math.max(0.8, cell - Math.min(2, cell * 0.25));
  const x = (i) => LEFT + (i + 0.5) * cell;
  const y = (v) => TOP + ((height - TOP - FOOT) * (high - bound(v))) / (high - low);
  const nodes = levels(low, high).flatMap((v) => [
    svg('line', { x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v), class: v === 0 ? 'zero' : 'grid' }),
    svg('text.tick.end', { x: LEFT - 8, y: y(v) + 4 }, v === 0 ? '0' : fixed(v, 2).replace(/\.?0+$/, ''))]);
  const every = Math.max(1, Math.ceil(jumps.length / Math.max(2, Math.floor((width - LEFT) / 64))));
  jumps.forEach((jump, i) => {
    stacks[i].parts.forEach((part) => {
      const [a, b] = [y(part.from), y(part.to)];
      nodes.push(svg('rect', { x: x(i) - wide / 2, y: Math.min(a, b), width: wide, height: Math.max(0.4, Math.abs(a - b)),
        class: `bar ${part.kind}` }));
    });
    const total = totals?.[i];
    if (total !== null && total !== undefined && Number.isFinite(total)) {
      nodes.push(svg('line.total', { x1: x(i) - wide / 2, x2: x(i) + wide / 2, y1: y(total), y2: y(total) }));
    }
    if (jump.status === 'cut') {
      nodes.push(svg('rect.fate.cut', { x: x(i) - cell / 2, y: TOP, width: cell, height: height - TOP - FOOT, fill: 'url(#path-cut)' }));
    }
    if (i % every === 0) nodes.push(svg('text.tick', { x: x(i), y: height - 6 }, String(jump.to)));
  });
  const at = jumps.indexOf(strongest);
  if (at >= 0 && totals) {
    const side = x(at) > width - 90 ? 'end' : x(at) < LEFT + 80 ? '' : 'middle';
    nodes.push(svg('circle.dot', { cx: x(at), cy: y(totals[at]), r: 3.5 }),
      svg('text', { x: side === 'middle' ? x(at) : x(at) + (side ? wide / 2 : -wide / 2), class: `note ${side}`,
        y: y(Math.min(stacks[at].down, totals[at])) + 14 }, `strongest drop, ${strongest.from} → ${strongest.to}`));
  }
  return { nodes, x, cell, index: (px) => Math.min(jumps.length - 1, Math.max(0, Math.floor((px - LEFT) / cell))) };
}
