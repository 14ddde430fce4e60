// Every jump of a path in numbers; made when it is opened.

import { h } from 'dom';
import { fixed, glyph, number, power } from 'format';

export function table({ jumps }, view, trace, state) {
  const { layer } = view;
  const made = () => {
    const shares = layer.paths.length > 1 ? layer.paths : [];
    const heads = ['jump', ...(trace.symbols ? ['reads'] : []), 'r, nats', 'factor', 'left so far',
      ...(layer.split ? ['squashing', 'weights'] : []), ...shares];
    const row = (jump) => h('tr', { class: jump.status }, h('th', { scope: 'row' }, `${jump.from} → ${jump.to}`),
      trace.symbols ? h('td', glyph(String(trace.symbols[state.sample][jump.to] ?? ''))) : null,
      jump.status === 'cut' ? h('td.cut-word', 'cut') : h('td', fixed(jump.r, 3)),
      h('td', number(jump.factor, 3)), h('td', power(jump.left, 3)),
      layer.split ? [h('td', fixed(jump.split.squashing, 3)), h('td', fixed(jump.split.weights, 3))] : null,
      shares.map((_, i) => h('td', fixed(jump.shares[i], 3))));
    return h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'all jumps' }, h('table',
      h('thead', h('tr', heads.map((text) => h('th', { scope: 'col' }, text)))), h('tbody', jumps.map(row))));
  };
  const details = h('details.numbers', { ontoggle: () => {
    if (details.open && !details.querySelector('table')) details.append(made());
  } }, h('summary', jumps.length === 1 ? 'The jump in numbers' : `All ${jumps.length} jumps in numbers`));
  return details;
}
