import type { Topic } from '@domain/event.js'
import { useLocation } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useRef, useState } from 'react'
import { Outlet } from '@tanstack/react-router'
import { useMay } from '../api/current-user.js'
import { useLiveUpdates } from '../api/live.js'
import { BottomBar } from './BottomBar.js'
import { LiveBanner } from './LiveBanner.js'
import { LiveProvider } from './live-state.js'
import { useOperationToasts } from './operation-toasts.js'
import { Rail } from './Rail.js'
import classes from './Shell.module.css'
import { useStoredFlag } from './stored-flag.js'
import { TasksDrawer } from './TasksDrawer.js'
import { TasksProvider } from './tasks-state.js'
import { TopLine } from './TopLine.js'
import { useGlobalKeys } from './use-global-keys.js'

const Palette = lazy(async () => ({ default: (await import('./Palette.js')).Palette }))
const KeysOverlay = lazy(async () => ({ default: (await import('./KeysOverlay.js')).KeysOverlay }))

/** The frame around every page: where one can go, where one is, what is running. */
export function Shell() {
  const live = useLiveUpdates(useTopics())
  const [narrow, toggleNarrow] = useStoredFlag('rail-narrow')
  const [tasks, toggleTasks, setTasks] = useStoredFlag('tasks-open')
  const openTasks = useCallback(() => setTasks(true), [setTasks])
  const [overlay, setOverlay] = useState<'palette' | 'keys' | null>(null)
  const main = useRef<HTMLElement>(null)
  const bare = useLocation({ select: ({ pathname }) => pathname.endsWith('/consoles') })
  useOperationToasts()
  useGlobalKeys({
    palette: () => setOverlay('palette'),
    keys: () => setOverlay('keys'),
    tasks: toggleTasks,
    rail: toggleNarrow,
  })

  return (
    <LiveProvider value={live}>
      <TasksProvider value={openTasks}>
        <div className={classes['shell']} data-narrow={narrow || undefined} data-stale={live === 'paused' || undefined}>
          <button type="button" className={classes['skip']} onClick={() => main.current?.focus()}>
            Skip to the content
          </button>
          <Rail narrow={narrow} onToggle={toggleNarrow} />
          <div className={classes['column']} data-bare={bare || undefined}>
            <TopLine tasksOpen={tasks} onTasks={toggleTasks} onPalette={() => setOverlay('palette')} />
            <LiveBanner state={live} />
            <main ref={main} tabIndex={-1} className={classes['main']} data-bare={bare || undefined}>
              <Outlet />
            </main>
            {tasks && <TasksDrawer onClose={() => setTasks(false)} />}
            <BottomBar />
          </div>
        </div>
        <Suspense>
          {overlay === 'palette' && (
            <Palette onClose={() => setOverlay(null)} onKeys={() => setOverlay('keys')} onTasks={openTasks} />
          )}
          {overlay === 'keys' && <KeysOverlay onClose={() => setOverlay(null)} />}
        </Suspense>
      </TasksProvider>
    </LiveProvider>
  )
}

/** What this role may hear of. */
function useTopics(): Topic[] {
  const may = useMay()
  const topics: Topic[] = ['nodes', 'images', 'operations']
  if (may('storage.read')) topics.push('storage')
  if (may('user.list')) topics.push('users')
  if (may('audit.read')) topics.push('audit')
  if (may('health.readDetails')) topics.push('health')
  return topics
}
