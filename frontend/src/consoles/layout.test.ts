import { describe, expect, it } from '@jest/globals'
import {
  changeTab,
  closeTab,
  type ConsoleLayout,
  type ConsoleTab,
  EMPTY_LAYOUT,
  focusPane,
  formatLayout,
  MAX_TABS,
  openTab,
  PANE_COUNTS,
  parseLayout,
  setPanes,
  showTab,
} from './layout.js'

const id = (digit: number) => `00000000-0000-4000-8000-${String(digit).padStart(12, '0')}`
const tab = (digit: number, more: Partial<ConsoleTab> = {}): ConsoleTab => ({
  nodeId: id(digit),
  kind: 'serial',
  mode: 'control',
  ...more,
})
const tabs = (...digits: number[]) => digits.map((digit) => tab(digit))

describe('the layout in the address', () => {
  it('is read back as it was written', () => {
    const layouts: ConsoleLayout[] = [
      { tabs: tabs(1), panes: 1, shown: [0], focus: 0 },
      { tabs: [tab(1, { kind: 'screen' }), tab(1), tab(2, { mode: 'view' })], panes: 2, shown: [2, 0], focus: 1 },
      { tabs: tabs(1, 2), panes: 4, shown: [1, null, 0, null], focus: 2 },
    ]
    for (const layout of layouts) expect(parseLayout(formatLayout(layout))).toEqual(layout)
    expect(formatLayout(EMPTY_LAYOUT)).toBeUndefined()
    expect(parseLayout(undefined)).toEqual(EMPTY_LAYOUT)
  })

  it('needs no escaping in an address', () => {
    const text = formatLayout({
      tabs: [tab(1, { kind: 'screen', mode: 'view' }), tab(2)],
      panes: 2,
      shown: [0, null],
      focus: 0,
    })
    expect(encodeURIComponent(text ?? '')).toBe(text)
  })

  it('can be as short as a list of nodes, which are shown side by side', () => {
    expect(parseLayout(id(1))).toEqual({ tabs: tabs(1), panes: 1, shown: [0], focus: 0 })
    expect(parseLayout(`${id(1)},${id(2)}`)).toEqual({ tabs: tabs(1, 2), panes: 2, shown: [0, 1], focus: 0 })
    expect(parseLayout([1, 2, 3].map(id).join(','))).toMatchObject({ panes: 4, shown: [0, 1, 2, null] })
  })

  it('drops what it can’t understand and never throws', () => {
    for (const text of [
      '',
      '!',
      '7.9!',
      'x',
      '../..',
      '2.0.0.1!',
      '1.0.5!nothing',
      '%00',
      '<script>',
      '!'.repeat(5000),
    ]) {
      expect(parseLayout(text)).toMatchObject({ tabs: [], focus: 0 })
    }
    expect(parseLayout(`9.9.9.-1!${id(1)}~vnc~sudo_${id(1)}_nonsense`)).toEqual({
      tabs: tabs(1),
      panes: 1,
      shown: [0],
      focus: 0,
    })
    expect(parseLayout(`2.0.0.0!${id(1)}`).shown).toEqual([0, null])
    expect(parseLayout(Array.from({ length: 100 }, (_, at) => id(at)).join(',')).tabs).toHaveLength(MAX_TABS)
  })
})

describe('working with tabs and panes', () => {
  const three: ConsoleLayout = { tabs: tabs(1, 2, 3), panes: 2, shown: [0, 1], focus: 0 }

  it('opens a console in the focused pane, and shows it when it is open already', () => {
    const one = openTab(EMPTY_LAYOUT, tab(1))
    expect(one).toEqual({ tabs: tabs(1), panes: 1, shown: [0], focus: 0 })
    expect(openTab(one, tab(2)).shown).toEqual([1])
    expect(openTab(openTab(one, tab(2)), tab(1, { mode: 'view' }))).toMatchObject({ tabs: tabs(1, 2), shown: [0] })
    expect(openTab(focusPane(three, 1), tab(4))).toMatchObject({ shown: [0, 3], tabs: tabs(1, 2, 3, 4) })
  })

  it('changes places when a tab is wanted here that is seen there', () => {
    expect(showTab(three, 1).shown).toEqual([1, 0])
    expect(showTab(three, 2).shown).toEqual([2, 1])
    expect(showTab(three, 0)).toBe(three)
  })

  it('fills the pane of a closed tab with one that was not seen', () => {
    expect(closeTab(three, 0)).toEqual({ tabs: tabs(2, 3), panes: 2, shown: [1, 0], focus: 0 })
    expect(closeTab(three, 2)).toMatchObject({ tabs: tabs(1, 2), shown: [0, 1] })
    expect(closeTab(closeTab(three, 0), 0).shown).toEqual([0, null])
    expect(closeTab(parseLayout(id(1)), 0)).toEqual(EMPTY_LAYOUT)
  })

  it('keeps the console that is looked at when panes become fewer, and fills new ones', () => {
    expect(setPanes(focusPane(three, 1), 1)).toMatchObject({ shown: [1], focus: 0 })
    expect(setPanes(three, 4).shown).toEqual([0, 1, 2, null])
    expect(setPanes(parseLayout(id(1)), 2).shown).toEqual([0, null])
  })

  it('changes a tab’s kind and mode, or shows the one that is open already', () => {
    expect(changeTab(three, 0, { kind: 'screen' }).tabs[0]).toEqual(tab(1, { kind: 'screen' }))
    const both = openTab(three, tab(1, { kind: 'screen' }))
    expect(changeTab(both, 3, { kind: 'serial' })).toMatchObject({ shown: [0, 1] })
    expect(changeTab(three, 9, { kind: 'screen' })).toBe(three)
  })

  it('stays valid whatever is done in whatever order', () => {
    let state = 11
    const random = (below: number) => (state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647) % below
    let layout = EMPTY_LAYOUT
    for (let step = 0; step < 1500; step += 1) {
      const done = [
        () => openTab(layout, tab(random(9), { kind: random(2) ? 'screen' : 'serial' })),
        () => closeTab(layout, random(9)),
        () => showTab(layout, random(9)),
        () => setPanes(layout, PANE_COUNTS[random(3)] ?? 1),
        () => focusPane(layout, random(4)),
        () => changeTab(layout, random(9), { kind: random(2) ? 'screen' : 'serial' }),
      ][random(6)]
      layout = done?.() ?? layout
      const seen = layout.shown.filter((at) => at !== null)
      expect(layout.shown).toHaveLength(layout.panes)
      expect(new Set(seen).size).toBe(seen.length)
      expect(seen.every((at) => at < layout.tabs.length)).toBe(true)
      expect(layout.focus).toBeLessThan(layout.panes)
      if (layout.tabs.length > 0) expect(parseLayout(formatLayout(layout))).toEqual(layout)
    }
  })
})
