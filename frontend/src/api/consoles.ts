import type { ConsoleTicket } from '@domain/console.js'
import type { ConsoleApi } from '../consoles/console-api.js'
import { apiUrl, request, requestText } from './client.js'
import { lastScreenPath } from './nodes.js'

/** What consoles ask of the server. */
export const consoleApi: ConsoleApi = {
  openTicket: (nodeId, kind, mode, engine = 'auto') =>
    request<ConsoleTicket>('POST', `nodes/${nodeId}/consoles`, { body: { kind, mode, engine } }),
  socketUrl: ({ url }) => {
    const address = new URL(url.replace(/^\//, ''), document.baseURI)
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
    return address.href
  },
  sendKeys: (nodeId, keys) => request<void>('POST', `nodes/${nodeId}/keys`, { body: { keys } }),
  typeText: (nodeId, text, signal) => request<void>('POST', `nodes/${nodeId}/type`, { body: { text }, signal }),
  serialLog: (nodeId, signal) => requestText(`nodes/${nodeId}/serial-log`, signal),
  lastScreenUrl: (nodeId, version) => `${apiUrl(lastScreenPath(nodeId))}?at=${encodeURIComponent(version)}`,
}
