// The numbers of the step under the pointer or the keys.

import { num, stateName } from 'data';
import { h } from 'dom';
import { glyph, lowered, number, percent, power } from 'format';

const FATE = {
  after: 'is not on the way', reset: 'belongs to another sequence: no gradient passes the reset',
  absent: 'nothing was measured: this loss does not count', cut: 'cut by the wall',
  zero: 'exactly zero', unbounded: 'not finite',
};

export function spoken(trace, state, view, t) {
  const reads = trace.symbols && trace.symbols[state.sample][t] !== null
    ? `“${glyph(trace.symbols[state.sample][t])}”`
    : trace.inputs.slice(0, 4).map(({ name, values }) => `${name} = ${number(num(values[state.sample][t]), 3)}`).join(', ');
  const target = trace.targets && trace.targets[state.sample][t];
  const loss = num(trace.losses[state.sample][t]);
  const parts = [['reads', reads || null], ['target', said(target)], ['loss', loss === null ? 'does not count' : number(loss, 3)]];
  const what = view.status[t];
  const name = `‖∂ℓ${lowered(view.s)}/∂${stateName(view.layer)}${lowered(t)}‖`;
  if (what === 'after') parts.push([name, `step ${t} ${FATE.after}`]);
  else if (what === 'flow' || what === 'below') {
    parts.push([name, power(view.flow[t])]);
    parts.push(['of what it started as', power(view.flow[t] - view.base) + (what === 'below' ? ', below float precision' : '')]);
  } else if (what === 'unbounded') parts.push([name, power(view.flow[t])]);
  else parts.push([name, FATE[what]]);
  parts.push(['all losses', power(view.accumulated[t])]);
  const weight = view.layer.weights[state.block];
  if (weight) parts.push(['cₜ', num(weight.c[t]) === null ? '–' : share(num(weight.c[t]))]);
  return parts.filter(([, value]) => value !== null);
}

const said = (target) => (typeof target === 'number' ? number(target, 3) : target ? `“${glyph(target)}”` : null);

const share = (value) => (Number.isFinite(value) ? (value < 0 ? `−${percent(-value)}` : percent(value)) : number(value));

export function readout(root, store) {
  const draw = () => {
    const { trace, state, view, at } = store;
    root.hidden = state.view === 'rolled';
    root.replaceChildren(h('b', `step ${at}`), ...spoken(trace, state, view, at).map(([name, value]) =>
      h('span', h('i', name), ' ', value)));
  };
  store.onPoint(draw);
  store.subscribe(draw);
}
