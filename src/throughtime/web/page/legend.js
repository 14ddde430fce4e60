// What the colours mean: decades of the gradient, and the ways of not arriving.

import { h, patterns, s as svg } from 'dom';
import { decade, number } from 'format';
import { legendImage } from 'heat';
import { decades } from 'layout';

const [WIDTH, HEIGHT] = [180, 10];

function swatch(name, text) {
  const node = svg('svg', { width: 22, height: HEIGHT + 2, 'aria-hidden': 'true' },
    svg('rect', { x: 0.5, y: 0.5, width: 21, height: HEIGHT + 1, class: `fate ${name}`,
      fill: name === 'unbounded' ? null : `url(#legend-${name})` }));
  return h('span.key', { 'data-key': name }, node, text);
}

export function legend(root, store) {
  const canvas = h('canvas', { 'aria-hidden': 'true' });
  const marks = svg('svg.decades', { width: WIDTH + 24, height: 18 });
  const keys = h('span.keys');
  const title = h('span.aside');
  root.append(svg('svg.defs', { width: 0, height: 0 }, patterns('legend')),
    h('span.ramp', canvas, marks), title, keys);
  store.subscribe(() => {
    const { trace, state, view } = store;
    root.hidden = state.view === 'rolled';
    const [low, high] = view.domain;
    legendImage(canvas, WIDTH, HEIGHT);
    marks.replaceChildren(...decades(low, high, 5).map((d) =>
      svg('text.tick', { x: 12 + (WIDTH * (d - low)) / (high - low), y: 13 }, decade(d))));
    title.textContent = state.scale === 'relative' ? 'of the gradient at the loss’s own step' : 'norm of the gradient';
    const seen = new Set(view.status);
    keys.replaceChildren(
      swatch('below', `below float precision (${number(trace.precision)} of ℓ’s own)`),
      ...(seen.has('zero') ? [swatch('zero', 'exactly zero')] : []),
      ...(seen.has('cut') ? [swatch('cut', 'cut by the wall: not zero, not asked')] : []),
      ...(seen.has('reset') ? [swatch('reset', 'another sequence: no way back')] : []),
      ...(seen.has('unbounded') ? [swatch('unbounded', 'not finite')] : []));
  });
}
