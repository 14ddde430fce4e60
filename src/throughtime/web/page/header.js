// The verdict, its figures, and what to try.

import { h, place } from 'dom';
import { plain } from 'format';

// "vanishing: … is left (thresholds)" as a coloured word, the sentence, and the small print.
function parted({ word, sentence }) {
  const rest = sentence.startsWith(word) ? sentence.slice(word.length).replace(/^[:,]?\s*/, '') : sentence;
  const small = rest.match(/^(.*?)\s*\(([^()]*)\)\.?$/s);
  return small ? [small[1], small[2]] : [rest, ''];
}

function verdict(trace) {
  const { word } = trace.verdict;
  const [sentence, small] = parted(trace.verdict);
  place('verdict').append(h('div',
    h('p.eyebrow', h('strong', trace.title), trace.subtitle && h('span', trace.subtitle)),
    h('h1', h('span', { class: `word ${word}` }, word), h('span.sentence', plain(sentence))),
    small && h('p.thresholds', plain(small))));
}

function figures(trace) {
  const tile = ({ name, value, unit, meaning }) =>
    h('div.tile', h('dt', name),
      h('dd', h('span.value', plain(String(value))), unit ? h('span.unit', unit) : null,
        h('span.meaning', plain(meaning))));
  place('figures').append(h('dl', trace.figures.map(tile)));
  place('figures').hidden = !trace.figures.length;
}

function command(text) {
  const button = h('button', { type: 'button', class: 'quiet copy', onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'copied';
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = 'selected';
    }
    setTimeout(() => (button.textContent = 'copy'), 1500);
  } }, 'copy');
  const code = h('code', text);
  return h('div.command', code, button);
}

const remedy = ({ title, evidence, option, command: text = option }, lead = null) => [
  h('h3', lead && h('span.lead', lead), title), h('p', plain(evidence)), text ? command(text) : null];

function remedies(trace) {
  const [first, ...others] = trace.remedies;
  if (!first) return;
  place('remedies').append(
    h('div.remedy', remedy(first, 'What to try: ')),
    others.length ? h('details', h('summary', `${others.length} more`),
      others.map((one) => h('div.remedy', remedy(one)))) : '');
}

function notes(trace) {
  place('notes').append(...trace.notes.map((note) => h('p', note)),
    h('p', 'ℓ is a loss, z the state right after a step; ‖∂ℓ/∂z‖ is what of the loss arrives there. Made by throughtime.'));
}

export function header(trace) {
  document.title = `${trace.title} · throughtime`;
  verdict(trace);
  figures(trace);
  remedies(trace);
  notes(trace);
}
