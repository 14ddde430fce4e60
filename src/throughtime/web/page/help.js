// Every gesture and every key, in one place.

import { h } from 'dom';

const KEYS = [
  ['On the strip', [
    ['click', 'follow the loss of that step'], ['shift-click', 'the path from the loss back to that step'],
    ['drag, sideways wheel', 'move the window'], ['Ctrl + wheel, pinch', 'zoom']]],
  ['With the strip in focus', [
    ['← →', 'one step'], ['Page ↑ ↓', 'ten steps'], ['Home End', 'first, last step'], ['Enter', 'follow this step’s loss'],
    ['Shift + Enter', 'the path back to this step'], ['Esc', 'close the path'], ['[ ]', 'move the wall'],
    ['w', 'put the wall here'], ['+ − 0', 'zoom in, out, whole'], ['r', 'absolute or relative'], ['s l', 'next sequence, layer']]],
  ['Anywhere', [['Tab', 'to the next control; the wall and the window take arrows too'], ['?', 'this list']]],
];

export function help(dialog, root) {
  const group = ([title, list]) => [h('h3', title),
    h('dl', list.map(([keys, what]) => [h('dt', h('kbd', keys)), h('dd', what)]))];
  dialog.append(h('h2', { id: 'help-title' }, 'How to look around'), ...KEYS.flatMap(group),
    h('form', { method: 'dialog' }, h('button.quiet', { autofocus: true }, 'close')));
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  const open = () => !dialog.open && dialog.showModal();
  root.append(h('button', { type: 'button', class: 'quiet', id: 'help-open', onclick: open, 'aria-label': 'help: gestures and keys' }, '?'));
  addEventListener('keydown', (event) => {
    if (event.key !== '?' || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    open();
  });
}
