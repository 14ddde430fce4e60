// The product along a path, in letters and in numbers; and the layer's own formulas.

import { h } from 'dom';
import { fixed, formula, lowered, number, power } from 'format';

const SHOWN = 2;

const norm = (s, z, t, kind) => h('span', { class: kind }, `‖∂ℓ${lowered(s)}/∂${z}${lowered(t)}‖`);
const factor = (jump) => ['e', h('sup', `r${lowered(jump.to)}`)];

// a · b · … · y · z: the ends of a long product.
function ends(jumps, one) {
  const shown = jumps.length <= 2 * SHOWN + 1 ? jumps : [...jumps.slice(0, SHOWN), null, ...jumps.slice(-SHOWN)];
  return shown.flatMap((jump) => [' · ', jump === null ? '…' : one(jump)]);
}

export function equation({ s, t, jumps, whole }, view, z) {
  const status = view.status[t];
  const line = (...parts) => h('p', parts);
  const result = status === 'cut' ? h('b.cut-word', 'cut')
    : status === 'reset' ? 'nothing: a reset stands between' : power(view.flow[t]);
  const lines = [line(norm(s, z, t, 'step-word'), ' = ', norm(s, z, s, 'loss-word'), ends(jumps, factor))];
  if (whole !== null && Number.isFinite(whole)) {
    lines.push(
      line(' = ', power(view.base), ends(jumps, (jump) => number(jump.factor))),
      line(' = ', power(view.base), ' · e', h('sup', fixed(whole, 2)), status === 'cut' ? ' without the wall; with it: ' : ' = ',
        h('strong', result),
        status === 'below' ? h('span.aside', ' below float precision beside the gradient it started as') : null));
  } else {
    lines.push(line(' = ', h('strong', result)));
  }
  return h('div.math.product', { id: 'product' }, lines);
}

export function formulas({ formulas: said }) {
  const group = (title, lines) => lines.length
    ? [h('p.label', title), lines.map((text) => h('p.math', formula(text)))] : [];
  return h('aside.formulas', group('One step', said.step ?? []), group('Its gradient, a step back', said.jump ?? []));
}
