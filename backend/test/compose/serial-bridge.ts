import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { openTerminal, type GuestTerminal } from '../qemu/guest-terminal.js'
import type { Stack } from './stack.js'

/** Somebody at the serial console of a node of a stack, or in an SSH session on it, by ticket and WebSocket, as the page. */
export async function openSerial(
  stack: Stack,
  nodeId: string,
  kind: 'serial' | 'ssh' = 'serial',
): Promise<GuestTerminal> {
  const token = (await stack.compose('exec', '-T', 'backend', 'cat', '/app/state/local-token')).trim()
  const { send } = await stack.administrator()
  const ticket = await send('POST', `/api/nodes/${nodeId}/consoles`, { kind })
  if (ticket.status >= 300) throw new Error(`no ticket: ${JSON.stringify(ticket.body)}`)
  const socket = new WebSocket(stack.url.replace('http', 'ws') + ticket.body.url, {
    headers: { authorization: `Bearer ${token}` },
  })
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  const folder = await mkdtemp(join(tmpdir(), 'sbx-serial-'))
  const bridge = createServer((line) => {
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) line.write(data)
    })
    line.on('data', (data) => socket.send(data, { binary: true }))
    line.on('error', () => line.destroy())
    line.on('close', () => socket.terminate())
    socket.on('close', () => line.destroy())
  })
  const path = join(folder, 'line')
  await new Promise<void>((resolve) => bridge.listen(path, resolve))
  const terminal = await openTerminal(path)
  return {
    ...terminal,
    close() {
      terminal.close()
      bridge.close()
      void rm(folder, { recursive: true, force: true })
    },
  }
}
