import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConsoles } from '../src/consoles/gateway.js'
import { createGuacamole } from '../src/consoles/guacamole/guacamole.js'
import type { NodeId } from '../src/domain/ids.js'
import { layoutOf } from '../src/domain/layout.js'
import { workerIdentity } from '../src/system/identity.js'
import { createLog } from '../src/system/log.js'
import { type EchoGuest, startEchoGuest } from '../test/support/echo-guest.js'
import { type RealGuacd, startRealGuacd } from '../test/support/real-guacd.js'
import { engineAt, VIEWER_SUBJECT } from './console-parts.js'

export interface GuacamoleLab {
  guacd: RealGuacd
  guest: EchoGuest
  origin: string
  /** An address with a fresh ticket. */
  address(): Promise<string>
  close(): Promise<void>
}

/** A real guest, a real guacd, and our consoles over HTTP. */
export async function startGuacamoleLab(guestIs: 'echoing' | 'painting'): Promise<GuacamoleLab> {
  const folder = await mkdtemp(join(tmpdir(), 'sbx-'))
  await chmod(folder, 0o711) // guacd is another user
  const [guacd, guest] = await Promise.all([startRealGuacd(), startEchoGuest(folder, guestIs)])
  const guacamole = await createGuacamole({
    guacd: { ...guacd, isNamed: true },
    layout: layoutOf(folder),
    log: createLog('silent'),
    identity: workerIdentity(),
  })
  const http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const consoles = createConsoles({
    engine: engineAt('vnc', guest.vnc),
    log: createLog('silent'),
    originAllowed: () => true,
    mayOpen: () => true,
    guacamole,
  })
  http.on('upgrade', (request, socket, head: Buffer) => {
    void consoles.handleUpgrade(request, socket, head, { subject: VIEWER_SUBJECT })
  })
  const nodeId = randomUUID() as NodeId
  return {
    guacd,
    guest,
    origin,
    async address() {
      const chosen = await consoles.chooseEngine('screen', 'guacamole')
      if (chosen.engine !== 'guacamole') throw new Error(chosen.notice ?? 'no Guacamole')
      return (
        origin.replace('http', 'ws') +
        consoles.issueTicket({ subject: VIEWER_SUBJECT, nodeId, kind: 'screen', mode: 'control', ...chosen }).url
      )
    },
    async close() {
      consoles.close()
      guacamole.close()
      http.closeAllConnections()
      http.close()
      await Promise.all([guest.end(), guacd.kill()])
      await rm(folder, { recursive: true, force: true })
    },
  }
}
