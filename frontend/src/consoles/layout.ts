import type { ConsoleKind, ConsoleMode } from '@domain/console.js'
import { CONSOLE_KINDS, CONSOLE_MODES } from '@domain/console-codes.js'

/** One open console. The same node may be open twice: its serial line and its screen. */
export interface ConsoleTab {
  nodeId: string
  kind: ConsoleKind
  mode: ConsoleMode
}

export const PANE_COUNTS = [1, 2, 4] as const
export type PaneCount = (typeof PANE_COUNTS)[number]

/** Which consoles are open, in the order of their tabs, and which of them are seen. Kept in the address. */
export interface ConsoleLayout {
  tabs: readonly ConsoleTab[]
  panes: PaneCount
  /** For each pane the index of its tab; null: the pane is empty. No tab is in two panes. */
  shown: readonly (number | null)[]
  /** The pane that new tabs go to. */
  focus: number
}

export const MAX_TABS = 24
export const EMPTY_LAYOUT: ConsoleLayout = { tabs: [], panes: 1, shown: [null], focus: 0 }

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * `2.0.0.1!<node id>~screen_<node id>~serial~view`: panes, focused pane, the tab of each pane (`x`: none); then the tabs.
 * Everything but the ids may be left out: `<node id>,<node id>` opens both side by side. Never throws: what can't be
 * understood is dropped.
 */
export function parseLayout(text: string | undefined): ConsoleLayout {
  const [head, body] = splitOnce(text ?? '')
  const tabs = withoutDoubles(body.split(/[,_]/).flatMap(parseTab)).slice(0, MAX_TABS)
  const [panes, focus, ...shown] = head.split('.')
  const count = PANE_COUNTS.find((one) => String(one) === panes) ?? panesFor(tabs.length)
  const wanted = head === '' ? tabs.map((_tab, at) => at) : shown.map((at) => (at === 'x' ? null : Number(at)))
  return settle({ tabs, panes: count, shown: wanted, focus: Number(focus ?? 0) })
}

/** The shortest text that `parseLayout` reads as this layout; undefined for an empty one. */
export function formatLayout(layout: ConsoleLayout): string | undefined {
  const { tabs, panes, shown, focus } = layout
  if (tabs.length === 0) return undefined
  return `${[panes, focus, ...shown.map((at) => at ?? 'x')].join('.')}!${tabs.map(formatTab).join('_')}`
}

/** Shows this console in the focused pane; opens a tab for it when there is none. */
export function openTab(layout: ConsoleLayout, tab: ConsoleTab): ConsoleLayout {
  const existing = layout.tabs.findIndex((one) => isSame(one, tab))
  if (existing >= 0) return showTab(layout, existing)
  if (layout.tabs.length >= MAX_TABS) return layout
  const tabs = [...layout.tabs, tab]
  return showTab({ ...layout, tabs }, tabs.length - 1)
}

/** Shows a tab in the focused pane. One that is seen in another pane changes places with what was here. */
export function showTab(layout: ConsoleLayout, index: number): ConsoleLayout {
  const there = layout.shown.indexOf(index)
  if (there === layout.focus) return layout
  const here = layout.shown[layout.focus] ?? null
  const shown = layout.shown.map((at, pane) => {
    if (pane === layout.focus) return index
    return pane === there ? here : at
  })
  return settle({ ...layout, shown })
}

/** Closes a tab; its pane shows the next one that is not seen elsewhere. */
export function closeTab(layout: ConsoleLayout, index: number): ConsoleLayout {
  const tabs = layout.tabs.filter((_tab, at) => at !== index)
  const moved = layout.shown.map((at) => {
    if (at === null || at === index) return null
    return at > index ? at - 1 : at
  })
  const hidden = tabs.map((_tab, at) => at).filter((at) => !moved.includes(at))
  const next = hidden.find((at) => at >= index) ?? hidden.at(-1) ?? null
  const pane = layout.shown.indexOf(index)
  return settle({ ...layout, tabs, shown: moved.map((at, one) => (one === pane ? next : at)) })
}

/** One, two or four panes; new ones show tabs that are not yet seen. */
export function setPanes(layout: ConsoleLayout, panes: PaneCount): ConsoleLayout {
  const focused = layout.shown[layout.focus] ?? null
  // The console that is looked at stays, also when there is only one pane left.
  const order = layout.focus >= panes ? [focused, ...layout.shown.filter((at) => at !== focused)] : [...layout.shown]
  const shown = order.slice(0, panes)
  const hidden = layout.tabs.map((_tab, at) => at).filter((at) => !shown.includes(at))
  while (shown.length < panes) shown.push(null)
  const filled = shown.map((at) => at ?? hidden.shift() ?? null)
  return settle({ ...layout, panes, shown: filled, focus: layout.focus >= panes ? 0 : layout.focus })
}

export function focusPane(layout: ConsoleLayout, pane: number): ConsoleLayout {
  return pane === layout.focus ? layout : settle({ ...layout, focus: pane })
}

/** Changes one tab's kind or mode; where that console is open already, shows it instead. */
export function changeTab(layout: ConsoleLayout, index: number, change: Partial<ConsoleTab>): ConsoleLayout {
  const tab = layout.tabs[index]
  if (!tab) return layout
  const changed = { ...tab, ...change }
  const other = layout.tabs.findIndex((one, at) => at !== index && isSame(one, changed))
  if (other >= 0) return showTab(layout, other)
  return { ...layout, tabs: layout.tabs.map((one, at) => (at === index ? changed : one)) }
}

/** What makes two tabs the same console. */
export function tabKey({ nodeId, kind }: ConsoleTab): string {
  return `${nodeId}~${kind}`
}

function isSame(one: ConsoleTab, other: ConsoleTab): boolean {
  return tabKey(one) === tabKey(other)
}

/** Makes any layout a valid one. */
function settle({ tabs, panes, shown, focus }: ConsoleLayout): ConsoleLayout {
  const seen = new Set<number>()
  const valid = Array.from({ length: panes }, (_none, pane) => {
    const at = shown[pane] ?? null
    if (at === null || !Number.isInteger(at) || at < 0 || at >= tabs.length || seen.has(at)) return null
    seen.add(at)
    return at
  })
  const isPane = Number.isInteger(focus) && focus >= 0 && focus < panes
  // A single pane is never empty while there is something to show.
  const only = panes === 1 && valid[0] === null && tabs.length > 0 ? [0] : valid
  return { tabs, panes, shown: only, focus: isPane ? focus : 0 }
}

function splitOnce(text: string): [head: string, body: string] {
  const at = text.indexOf('!')
  return at < 0 ? ['', text] : [text.slice(0, at), text.slice(at + 1)]
}

function parseTab(text: string): ConsoleTab[] {
  const [nodeId = '', ...words] = text.split('~')
  if (!UUID.test(nodeId)) return []
  const kind = CONSOLE_KINDS.find((one) => words.includes(one)) ?? 'serial'
  const mode = CONSOLE_MODES.find((one) => words.includes(one)) ?? 'control'
  return [{ nodeId, kind, mode }]
}

function formatTab({ nodeId, kind, mode }: ConsoleTab): string {
  return [nodeId, ...(kind === 'serial' ? [] : [kind]), ...(mode === 'control' ? [] : [mode])].join('~')
}

function withoutDoubles(tabs: ConsoleTab[]): ConsoleTab[] {
  return tabs.filter((tab, at) => tabs.findIndex((one) => isSame(one, tab)) === at)
}

function panesFor(tabs: number): PaneCount {
  if (tabs <= 1) return 1
  return tabs === 2 ? 2 : 4
}
