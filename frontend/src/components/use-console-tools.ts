import { useQueryClient } from '@tanstack/react-query'
import { consoleApi } from '../api/consoles.js'
import { sessionKey } from '../api/session.js'
import type { ConsolePaneProps } from '../consoles/ConsolePane.js'
import { useLiveState } from '../shell/live-state.js'
import { usePowerButtons } from './power.js'
import { toastError } from './toast.js'

/** What the page hands to every console: the way to the server, the power button, where to say what went wrong. */
export function useConsoleTools(): Pick<ConsolePaneProps, 'api' | 'onStart' | 'stale'> &
  Required<Pick<ConsolePaneProps, 'onSignIn' | 'onError'>> {
  const client = useQueryClient()
  const power = usePowerButtons()
  const stale = useLiveState() === 'paused'
  return {
    api: consoleApi,
    stale,
    onStart: (node) => power.run(node, 'start'),
    onSignIn: () => void client.invalidateQueries({ queryKey: sessionKey }),
    onError: toastError,
  }
}
