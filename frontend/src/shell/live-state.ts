import { createContext, use } from 'react'
import type { LiveState } from '../api/live.js'

const LiveContext = createContext<LiveState>('live')
export const LiveProvider = LiveContext

/** Whether what is shown follows the server right now. */
export function useLiveState(): LiveState {
  return use(LiveContext)
}
