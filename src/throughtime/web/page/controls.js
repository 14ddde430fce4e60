// What to look at: layer, sequence, scale, view, weights; and zoom.

import { h } from 'dom';
import { steps } from 'format';

function choice(label, name, options, store) {
  const buttons = options.map(([value, text]) =>
    h('button', { type: 'button', 'data-value': value, onclick: () => store.set({ [name]: value }) }, text));
  store.subscribe(() => buttons.forEach((button) =>
    button.setAttribute('aria-pressed', button.dataset.value === store.state[name])));
  return h('div.choice', { role: 'group', 'aria-label': label, id: `choose-${name}` }, buttons);
}

function menu(label, name, options, store, id = name) {
  const select = h('select', { id: `choose-${id}`, onchange: () => store.set({ [name]: Number(select.value) }) },
    options.map(([value, text]) => h('option', { value }, text)));
  store.subscribe(() => (select.value = store.state[name]));
  return h('label.menu', h('span', label), select);
}

export function controls(root, store, strip) {
  const { trace } = store;
  const samples = trace.samples.map((place, i) => [i, `sequence ${place}`]);
  const layers = trace.layers.map((layer, i) => [i, `${layer.name} · ${layer.verdict}`]);
  const zoom = h('div.choice.zoom', { role: 'group', 'aria-label': 'zoom' },
    h('button', { type: 'button', 'aria-label': 'fewer steps', onclick: () => strip.zoom(0.5) }, '+'),
    h('button', { type: 'button', 'aria-label': 'more steps', onclick: () => strip.zoom(2) }, '−'),
    h('button', { type: 'button', onclick: () => strip.view(0, trace.steps) }, `all ${trace.steps}`));
  store.subscribe(() => (zoom.hidden = store.state.view === 'rolled'));
  root.append(
    h('div.bar',
      trace.layers.some((layer) => layer.recurrent)
        && choice('view', 'view', [['unrolled', 'unrolled'], ['rolled', 'rolled']], store),
      choice('scale of the gradient', 'scale', [['absolute', 'absolute'], ['relative', 'relative to ℓ’s own step']], store),
      layers.length > 1 ? menu('layer', 'layer', layers, store) : null,
      samples.length > 1 ? menu('of the batch', 'sample', samples, store) : null,
      h('span.push'), zoom),
    hint(store));
}

function hint(store) {
  const line = h('p.hint', 'A column is a step. ', h('b.loss-word', 'Click a loss'),
    ': what flows back from it. ', h('b.step-word', 'Shift-click a step'),
    ' (or click among the arcs): the path between the two. ', h('b', 'Drag the wall'), ': truncate.');
  store.subscribe(() => (line.hidden = store.state.view === 'rolled'));
  return line;
}

// The weights whose gradient is shown by step.
export function weights(root, store) {
  const select = h('select', { id: 'choose-weights', onchange: () => store.set({ block: Number(select.value) }) });
  const used = h('span.aside');
  root.append(h('label.menu', h('span', 'cₜ of'), select), used);
  store.subscribe(() => {
    const { state, view: { layer } } = store;
    root.hidden = !layer.weights.length || state.view === 'rolled';
    select.replaceChildren(...layer.weights.map(({ name, block }, i) =>
      h('option', { value: i }, block ? `${name}, ${block}` : name)));
    select.value = state.block;
    used.textContent = `${/bias/.test(layer.weights[state.block]?.name) ? 'one vector' : 'one matrix'}, used ${steps(store.trace.steps).replace(/ steps?/, ' times')}; ` +
      'its gradient is a sum of as many terms; green adds to it, pink cancels, shares sum to one';
  });
}
