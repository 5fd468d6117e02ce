import { getRouteApi } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useNodes, usePendingStarts } from '../api/nodes.js'
import { useDocumentTitle } from '../components/PageHeader.js'
import { useConsoleTools } from '../components/use-console-tools.js'
import { ConsoleWorkspace } from '../consoles/ConsoleWorkspace.js'
import { type ConsoleLayout, formatLayout, parseLayout, tabKey } from '../consoles/layout.js'

const route = getRouteApi('/consoles')

/** Consoles are the page. Which are open, and how they lie, is the address. */
export function ConsolesPage() {
  const { layout: text } = route.useSearch()
  const navigate = route.useNavigate()
  const nodes = useNodes()
  const tools = useConsoleTools()
  const starting = usePendingStarts()
  const layout = useMemo(() => parseLayout(text), [text])
  useDocumentTitle('Consoles')

  const change = (next: ConsoleLayout) => {
    const nextText = formatLayout(next)
    // Going back undoes opening and closing; it does not walk through every pane that had the focus.
    const replace = keys(next) === keys(layout)
    void navigate({ search: nextText ? { layout: nextText } : {}, replace, resetScroll: false })
  }

  return (
    <>
      <h1 className="visually-hidden">Consoles</h1>
      <ConsoleWorkspace
        {...tools}
        nodes={nodes.data}
        layout={layout}
        onLayoutChange={change}
        isStartPending={(id) => starting.has(id)}
      />
    </>
  )
}

function keys(layout: ConsoleLayout): string {
  return layout.tabs.map(tabKey).join(' ')
}
