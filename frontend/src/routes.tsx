import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  type RouterHistory,
} from '@tanstack/react-router'
import { App } from './App.js'
import { BrokenPage } from './pages/BrokenPage.js'
import { HomePage } from './pages/HomePage.js'
import { NodesPage } from './pages/NodesPage.js'
import { NotFoundPage } from './pages/NotFoundPage.js'
import { NodesSkeleton } from './pages/nodes/NodesSkeleton.js'
import { parseSearch, stringifySearch } from './util/address.js'
import {
  readAuditSearch,
  readConsoleSearch,
  readConsolesSearch,
  readImagesSearch,
  readNodesSearch,
  readOperationsSearch,
  readPeopleSearch,
  readSnapshotsSearch,
  readStorageSearch,
} from './search.js'

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  component: App,
  notFoundComponent: () => <NotFoundPage />,
})

const home = createRoute({ getParentRoute: () => root, path: '/', component: HomePage })

const nodes = createRoute({
  getParentRoute: () => root,
  path: 'nodes',
  validateSearch: readNodesSearch,
  component: NodesPage,
  pendingComponent: NodesSkeleton,
})

const node = createRoute({
  getParentRoute: () => root,
  path: 'nodes/$nodeId',
  component: lazyRouteComponent(() => import('./pages/NodePage.js'), 'NodePage'),
})
const nodeOverview = createRoute({
  getParentRoute: () => node,
  path: '/',
  component: lazyRouteComponent(() => import('./pages/node/OverviewTab.js'), 'OverviewTab'),
})
const nodeConsole = createRoute({
  getParentRoute: () => node,
  path: 'console',
  validateSearch: readConsoleSearch,
  component: lazyRouteComponent(() => import('./pages/node/ConsoleTab.js'), 'ConsoleTab'),
})
const nodeDisk = createRoute({
  getParentRoute: () => node,
  path: 'disk',
  component: lazyRouteComponent(() => import('./pages/node/DisksTab.js'), 'DisksTab'),
})
const nodeSnapshots = createRoute({
  getParentRoute: () => node,
  path: 'snapshots',
  validateSearch: readSnapshotsSearch,
  component: lazyRouteComponent(() => import('./pages/node/SnapshotsTab.js'), 'SnapshotsTab'),
})
const nodeEvents = createRoute({
  getParentRoute: () => node,
  path: 'events',
  component: lazyRouteComponent(() => import('./pages/node/EventsTab.js'), 'EventsTab'),
})
const nodeSessions = createRoute({
  getParentRoute: () => node,
  path: 'sessions',
  component: lazyRouteComponent(() => import('./pages/node/SessionsTab.js'), 'SessionsTab'),
})
const nodeSettings = createRoute({
  getParentRoute: () => node,
  path: 'settings',
  component: lazyRouteComponent(() => import('./pages/node/SettingsTab.js'), 'SettingsTab'),
})

const recording = createRoute({
  getParentRoute: () => root,
  path: 'recordings/$recordingId',
  component: lazyRouteComponent(() => import('./pages/RecordingPage.js'), 'RecordingPage'),
})
const consoles = createRoute({
  getParentRoute: () => root,
  path: 'consoles',
  validateSearch: readConsolesSearch,
  component: lazyRouteComponent(() => import('./pages/ConsolesPage.js'), 'ConsolesPage'),
})
const images = createRoute({
  getParentRoute: () => root,
  path: 'images',
  validateSearch: readImagesSearch,
  component: lazyRouteComponent(() => import('./pages/ImagesPage.js'), 'ImagesPage'),
})
const storage = createRoute({
  getParentRoute: () => root,
  path: 'storage',
  validateSearch: readStorageSearch,
  component: lazyRouteComponent(() => import('./pages/StoragePage.js'), 'StoragePage'),
})
const trash = createRoute({
  getParentRoute: () => root,
  path: 'trash',
  component: lazyRouteComponent(() => import('./pages/TrashPage.js'), 'TrashPage'),
})
const operations = createRoute({
  getParentRoute: () => root,
  path: 'operations',
  validateSearch: readOperationsSearch,
  component: lazyRouteComponent(() => import('./pages/OperationsPage.js'), 'OperationsPage'),
})
const operation = createRoute({
  getParentRoute: () => root,
  path: 'operations/$operationId',
  component: lazyRouteComponent(() => import('./pages/OperationPage.js'), 'OperationPage'),
})
const people = createRoute({
  getParentRoute: () => root,
  path: 'people',
  validateSearch: readPeopleSearch,
  component: lazyRouteComponent(() => import('./pages/PeoplePage.js'), 'PeoplePage'),
})
const audit = createRoute({
  getParentRoute: () => root,
  path: 'audit',
  validateSearch: readAuditSearch,
  component: lazyRouteComponent(() => import('./pages/AuditPage.js'), 'AuditPage'),
})
const health = createRoute({
  getParentRoute: () => root,
  path: 'health',
  component: lazyRouteComponent(() => import('./pages/HealthPage.js'), 'HealthPage'),
})
const account = createRoute({
  getParentRoute: () => root,
  path: 'account',
  component: lazyRouteComponent(() => import('./pages/AccountPage.js'), 'AccountPage'),
})

const routeTree = root.addChildren([
  home,
  nodes,
  node.addChildren([nodeOverview, nodeConsole, nodeDisk, nodeSnapshots, nodeEvents, nodeSessions, nodeSettings]),
  recording,
  consoles,
  images,
  storage,
  trash,
  operations,
  operation,
  people,
  audit,
  health,
  account,
])

/** Every path lies under the page's own base, so that one build works at the root and behind a proxy's sub-path. */
export function createPageRouter(queryClient: QueryClient, history?: RouterHistory) {
  return createRouter({
    routeTree,
    ...(history ? { history } : {}),
    context: { queryClient },
    basepath: new URL('.', document.baseURI).pathname,
    defaultPreload: 'intent',
    defaultPreloadStaleTime: 0,
    defaultErrorComponent: BrokenPage,
    parseSearch,
    stringifySearch,
    scrollToTopSelectors: ['main'],
  })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createPageRouter>
  }
}
