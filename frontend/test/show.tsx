import { MantineProvider } from '@mantine/core'
import { Notifications } from '@mantine/notifications'
import { type QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from '@tanstack/react-router'
import { render } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import type { ReactNode } from 'react'
import { createQueryClient } from '../src/api/query-client.js'
import { createPageRouter } from '../src/routes.js'
import { theme } from '../src/theme/theme.js'

/** Renders a part of the page as the page would. */
export function show(part: ReactNode, client: QueryClient = createQueryClient()) {
  const user = userEvent.setup()
  const shown = render(
    <MantineProvider theme={theme} env="test">
      <QueryClientProvider client={client}>{part}</QueryClientProvider>
      <Notifications />
    </MantineProvider>,
  )
  return { user, client, ...shown }
}

/** Renders a part that holds links. It appears a moment later. */
export function showLinked(part: ReactNode, client: QueryClient = createQueryClient()) {
  const router = createRouter({
    routeTree: createRootRoute({ component: () => part }),
    history: createMemoryHistory({ initialEntries: ['/'] }),
  })
  return show(<RouterProvider router={router as never} />, client) // links are checked against the page's own routes
}

/** Renders the whole page at an address; `address()` tells where it went. */
export function showPage(address: string) {
  const client = createQueryClient()
  const router = createPageRouter(client, createMemoryHistory({ initialEntries: [address] }))
  const shown = show(<RouterProvider router={router} />, client)
  return { ...shown, router, address: () => router.state.location.href }
}
