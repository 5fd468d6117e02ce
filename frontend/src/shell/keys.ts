export interface KeyGroup {
  title: string
  keys: readonly { press: readonly string[]; does: string }[]
}

/** What `?` shows, besides the places; each page's keys are handled where the page is. */
export const KEYS: readonly KeyGroup[] = [
  {
    title: 'Everywhere',
    keys: [
      { press: ['Ctrl', 'K'], does: 'Search and commands' },
      { press: ['?'], does: 'This list' },
      { press: ['t'], does: 'Show or hide tasks' },
      { press: ['['], does: 'Labels in the rail on or off' },
      { press: ['Esc'], does: 'Close what is open' },
    ],
  },
  {
    title: 'Nodes',
    keys: [
      { press: ['j'], does: 'Next node' },
      { press: ['k'], does: 'Previous node' },
      { press: ['Enter'], does: 'Open the node' },
      { press: ['s'], does: 'Start or stop the node' },
      { press: ['c'], does: 'Open its console' },
      { press: ['x'], does: 'Select the node' },
      { press: ['/'], does: 'Filter' },
      { press: ['n'], does: 'Create a node' },
    ],
  },
  {
    title: 'Consoles',
    keys: [{ press: ['Ctrl', 'Alt', 'Shift'], does: 'Leave the console; all other keys go to the guest' }],
  },
]

/** True while the key belongs to a field, an open dialog or a menu, or is part of a browser's own chord. */
export function isTyping(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true
  const target = event.target
  if (!(target instanceof HTMLElement)) return false
  if (target.isContentEditable || target.matches('input:not([type=checkbox]), textarea, select')) return true
  return target.closest('[role=dialog], [role=menu], [role=listbox]') !== null
}
