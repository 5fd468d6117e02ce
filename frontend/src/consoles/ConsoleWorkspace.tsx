import type { NodeView } from '@domain/node.js'
import { useMemo } from 'react'
import { type ConsolePaneProps, ConsolePane } from './ConsolePane.js'
import dark from './console-dark.module.css'
import classes from './ConsoleWorkspace.module.css'
import {
  changeTab,
  closeTab,
  type ConsoleLayout,
  type ConsoleTab,
  focusPane,
  openTab,
  showTab,
  tabKey,
} from './layout.js'
import { NodeChoice } from './NodeChoice.js'
import { WorkspaceTabs } from './WorkspaceTabs.js'

export interface ConsoleWorkspaceProps extends Pick<ConsolePaneProps, 'api' | 'stale' | 'onSignIn' | 'onError'> {
  /** Every node that this person may see; undefined until it is known. */
  nodes: readonly NodeView[] | undefined
  layout: ConsoleLayout
  /** Which consoles are open has changed: by the person, so that going back undoes it. */
  onLayoutChange: (layout: ConsoleLayout) => void
  onStart: (node: NodeView) => void
  /** A start of this node was asked for and not answered yet. */
  isStartPending?: (nodeId: string) => boolean
}

/** Consoles of several nodes in tabs, one, two or four of them seen at once. Needs a parent with a height. */
export function ConsoleWorkspace(props: ConsoleWorkspaceProps) {
  const { nodes, layout, onLayoutChange } = props
  const byId = useMemo(() => new Map<string, NodeView>(nodes?.map((node) => [node.id, node])), [nodes])
  const change = (next: ConsoleLayout) => next !== layout && onLayoutChange(next)
  const open = (tab: ConsoleTab, pane = layout.focus) => change(openTab(focusPane(layout, pane), tab))
  const empty = layout.shown.flatMap((at, pane) => (at === null ? [pane] : []))

  return (
    <div className={classes['workspace']}>
      <WorkspaceTabs
        layout={layout}
        nodes={byId}
        stale={props.stale ?? false}
        onShow={(index) => change(showTab(layout, index))}
        onClose={(index) => change(closeTab(layout, index))}
        onOpen={open}
        onChange={change}
      />
      <div className={classes['panes']} data-panes={layout.panes}>
        {/* A tab keeps its place in this list and its key, so that it stays connected when it is seen elsewhere. */}
        {layout.tabs.map((tab, index) => {
          const pane = layout.shown.indexOf(index)
          return (
            <div
              key={tabKey(tab)}
              className={classes['pane']}
              data-pane={pane}
              data-focus={pane === layout.focus || undefined}
              hidden={pane < 0}
              onFocusCapture={() => change(focusPane(layout, pane))}
              onPointerDownCapture={() => change(focusPane(layout, pane))}
            >
              <TabPane {...props} tab={tab} node={byId.get(tab.nodeId)} index={index} active={pane === layout.focus} />
            </div>
          )
        })}
        {empty.map((pane) => (
          <div
            key={`empty ${pane}`}
            className={classes['pane']}
            data-pane={pane}
            data-focus={pane === layout.focus || undefined}
          >
            <NodeChoice nodes={nodes} layout={layout} onChoose={(tab) => open(tab, pane)} />
          </div>
        ))}
      </div>
    </div>
  )
}

interface TabPaneProps extends ConsoleWorkspaceProps {
  tab: ConsoleTab
  node: NodeView | undefined
  index: number
  active: boolean
}

function TabPane({ tab, node, index, active, layout, onLayoutChange, ...props }: TabPaneProps) {
  if (!node) {
    return (
      <div className={`${dark['dark']} ${classes['missing']}`}>
        <p>{props.nodes ? 'This node is gone, or it is not yours any more.' : 'Looking for this node …'}</p>
        {props.nodes && (
          <button type="button" className={classes['plain']} onClick={() => onLayoutChange(closeTab(layout, index))}>
            Close this tab
          </button>
        )}
      </div>
    )
  }
  const { api, stale = false, onStart, onSignIn, onError } = props
  return (
    <ConsolePane
      {...{ node, api, stale, active, onStart }}
      {...(layout.panes === 1 ? { title: null } : {})}
      kind={tab.kind}
      mode={tab.mode}
      startPending={props.isStartPending?.(node.id) ?? false}
      onKindChange={(kind) => onLayoutChange(changeTab(layout, index, { kind }))}
      onModeChange={(mode) => onLayoutChange(changeTab(layout, index, { mode }))}
      {...(onSignIn ? { onSignIn } : {})}
      {...(onError ? { onError } : {})}
    />
  )
}
