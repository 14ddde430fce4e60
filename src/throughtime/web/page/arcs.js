// From the loss back to each step: an arc, the wider and darker the more of the gradient arrives.

import * as colour from 'colour';
import { s as svg } from 'dom';

const MOST = 70;

const lift = (scale, a, b, height) =>
  height * Math.min(1, (Math.abs(scale.middle(a) - scale.middle(b)) / (scale.right - scale.left)) ** 0.75);

export function arc(scale, from, to, y, height) {
  const [a, b] = [scale.middle(from), scale.middle(to)];
  const tall = Math.max(3, lift(scale, from, to, height - 4));
  return `M${a.toFixed(1)} ${y}A${(Math.abs(a - b) / 2).toFixed(1)} ${tall.toFixed(1)} 0 0 ${b < a ? 1 : 0} ${b.toFixed(1)} ${y}`;
}

export function arcs(row, scale, view, chosen) {
  const [low, high] = view.domain;
  const stride = Math.ceil(scale.count / MOST);
  const crowded = Math.min(1, 28 / (scale.count / stride));
  const drawn = [];
  for (let t = scale.from; t < scale.to; t += 1) {
    const what = view.status[t];
    if (t === view.s || (t - view.s) % stride || (what !== 'flow' && what !== 'below' && what !== 'unbounded')) continue;
    const share = Math.min(1, Math.max(0, (view.shown[t] - low) / (high - low)));
    const value = what === 'flow' ? share : what === 'below' ? -1 : 2;
    drawn.push([value, svg('path', {
      d: arc(scale, view.s, t, row.y, row.height), class: `arc ${what}`,
      stroke: what === 'flow' ? colour.css(colour.gradient(view.shown[t], view.domain)) : null,
      'stroke-width': what === 'flow' ? (0.5 + (0.7 + 1.6 * crowded) * share ** 1.5).toFixed(2) : null,
      'stroke-opacity': what === 'flow' ? (0.25 + 0.75 * share).toFixed(2) : null,
    })]);
  }
  drawn.sort((a, b) => a[0] - b[0]);
  const nodes = drawn.map(([, node]) => node);
  if (chosen !== null && chosen !== view.s && !['after', 'cut', 'reset', 'absent'].includes(view.status[chosen])) {
    nodes.push(svg('path.arc.chosen', { d: arc(scale, view.s, chosen, row.y, row.height) }));
  }
  return nodes;
}
