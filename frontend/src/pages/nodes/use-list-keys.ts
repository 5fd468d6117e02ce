import type { NodeView } from '@domain/node.js'
import { useNavigate } from '@tanstack/react-router'
import { type RefObject, useEffect, useEffectEvent, useState } from 'react'
import { usePowerButtons } from '../../components/power.js'
import { toastRefused } from '../../components/toast.js'
import { isTyping } from '../../shell/keys.js'
import type { Selection } from './use-selection.js'

export interface ListFocus {
  /** The id of the row that keys act on. */
  active: string | undefined
  /** For each row: makes it the active one and lets it be focused. */
  row: (id: string) => { 'data-row': string; tabIndex: number; onFocus: () => void }
}

interface Options {
  nodes: readonly NodeView[]
  selection: Selection
  filterField: RefObject<HTMLInputElement | null>
  /** Cards lie side by side: left and right move as well. */
  columns: boolean
}

/** j/k or arrows move, Enter opens, s starts or stops, c opens the console, x selects, / filters, n creates. */
export function useListKeys({ nodes, selection, filterField, columns }: Options): ListFocus {
  const [active, setActive] = useState<string>()
  const navigate = useNavigate()
  const power = usePowerButtons()
  const index = nodes.findIndex((node) => node.id === active)
  const node = nodes[index]

  const move = (step: number) => {
    const next = nodes[index < 0 ? 0 : Math.min(Math.max(index + step, 0), nodes.length - 1)]
    if (next) focusRow(next.id)
  }

  function actOn(target: NodeView, key: string, onRow: boolean): boolean {
    const { console: noConsole, start, stop } = target.actions
    if (key === 'Enter' && onRow) void navigate({ to: '/nodes/$nodeId', params: { nodeId: target.id } })
    else if (key === 'x') selection.toggle(target.id)
    else if (key === 'c' && noConsole) toastRefused(target.name, noConsole)
    else if (key === 'c') void navigate({ to: '/nodes/$nodeId/console', params: { nodeId: target.id } })
    else if (key === 's' && start === null) power.run(target, 'start')
    else if (key === 's' && stop === null) power.run(target, 'stop')
    else if (key === 's') toastRefused(target.name, start ?? stop ?? 'It can’t be started or stopped now.')
    else return false
    return true
  }

  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || isTyping(event)) return
    const inList = event.target instanceof Element && event.target.closest('[data-row]') !== null
    const onRow = inList && event.target instanceof Element && event.target.matches('[data-row]')
    const key = columns && event.key === 'ArrowRight' ? 'j' : columns && event.key === 'ArrowLeft' ? 'k' : event.key
    const arrows = onRow || event.target === document.body
    if (key === 'j' || (key === 'ArrowDown' && arrows)) move(1)
    else if (key === 'k' || (key === 'ArrowUp' && arrows)) move(-1)
    else if (key === '/') filterField.current?.focus()
    else if (key === 'n') void navigate({ to: '/nodes', search: { new: 'yes' } })
    else if (key === 'Escape' && selection.nodes.length > 0) selection.clear()
    else if (!node || !inList || !actOn(node, key, onRow)) return
    event.preventDefault()
  })

  useEffect(() => {
    const listener = (event: KeyboardEvent) => onKey(event)
    document.addEventListener('keydown', listener)
    return () => document.removeEventListener('keydown', listener)
  }, [])

  return {
    active,
    row: (id) => ({
      'data-row': id,
      tabIndex: id === (node ? active : nodes[0]?.id) ? 0 : -1,
      onFocus: () => setActive(id),
    }),
  }
}

function focusRow(id: string): void {
  const row = document.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"]`)
  row?.focus({ preventScroll: true })
  row?.scrollIntoView({ block: 'nearest' })
}
