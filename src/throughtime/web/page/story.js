// What the strip shows, in words.

import { cutAway } from 'data';
import { h, place } from 'dom';
import { percent, power, steps } from 'format';

const loss = (text) => h('b.loss-word', text);
const step = (text) => h('b.step-word', text);

function arrival({ s, flow, base, status, layer }) {
  if (base === null) return [loss(`The loss of step ${s}`), ' does not count, so nothing flows back from it. '];
  const way = status.map((what, t) => (what === 'after' || what === 'reset' || what === 'absent' || t === s ? -1 : t))
    .filter((t) => t >= 0);
  if (!way.length) return [loss(`The loss of step ${s}`), ' has no step to flow back to. '];
  const far = layer.reverse ? way[way.length - 1] : way[0];
  const left = flow[far] - base;
  const tiny = way.filter((t) => status[t] === 'below' || status[t] === 'zero').length;
  const text = Number.isFinite(left) ? left > 0.3 ? `the gradient is ${power(left)} times as large`
    : `${power(left)} of the gradient is left` : left === -Infinity
    ? 'exactly nothing of the gradient is left' : 'the gradient is no longer finite';
  return ['From ', loss(`the loss of step ${s}`), `, ${text} ${steps(Math.abs(s - far))} ${layer.reverse ? 'on' : 'back'}`,
    tiny ? `; ${tiny} of ${steps(way.length)} ${tiny === 1 ? 'is' : 'are'} below what the numbers resolve. ` : '. '];
}

function walled(store) {
  const { state, view } = store;
  if (state.wall === 0 || state.wall === store.trace.steps) return [];
  const { steps: gone, share } = cutAway(view);
  const behind = view.layer.reverse ? state.wall > view.s : state.wall <= view.s;
  if (!behind) return [h('span.walled', { id: 'walled' }, 'The wall stands after this loss and cuts nothing of it. ')];
  const taken = share === null ? 'a share that cannot be told, the gradient being not finite,' : share < 0.001 ? 'under 0.1 %' : percent(share);
  return [h('span.walled', { id: 'walled' },
    h('b', `K = ${view.layer.reverse ? state.wall - view.s : view.s - state.wall + 1}`), `: the wall cuts ${steps(gone)} and ${taken} of the summed norms. `)];
}

const FATE = { after: ' is not on the way of this loss. ', cut: ' is cut off', reset: ' belongs to another sequence',
  absent: ' gets nothing', unbounded: ' gets what is not finite', zero: ' gets exactly nothing' };

function reached(view, t) {
  const what = view.status[t];
  return [step(`Step ${t}`), FATE[what] ?? ` gets ${power(view.flow[t])}`, what !== 'after' && [': ',
    h('button.link', { type: 'button', onclick: () => place('path').scrollIntoView() }, 'the path, below'), '. ']]
    .flat().filter(Boolean);
}

export function story(root, store) {
  let last = '';
  store.subscribe(() => {
    const { view, state } = store;
    const nodes = [];
    nodes.push(...arrival(view), ...walled(store));
    if (state.step !== null && state.step !== view.s) nodes.push(...reached(view, state.step));
    if (view.asked !== view.s) {
      nodes.push(h('span.aside', { id: 'nearest' },
        `The loss of step ${view.asked} was not followed; ${view.s} is the nearest that was. `));
    }
    const text = nodes.map((node) => node.textContent ?? node).join('');
    if (text === last) return;
    last = text;
    root.replaceChildren(...nodes);
  });
}
