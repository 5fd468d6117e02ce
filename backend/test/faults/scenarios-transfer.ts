import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, stat } from 'node:fs/promises'
import { uploadsDir, type Layout } from '../../src/domain/layout.js'
import { cloneNodeSchema } from '../../src/domain/node.js'
import type { LabState } from '../../src/domain/state.js'
import type { NodeTransfer } from '../../src/domain/transfer.js'
import { startFarSide } from './far-side.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

const UPLOAD_ID = 'f'.repeat(32)
const uploadOf = (layout: Layout) => `${uploadsDir(layout)}/${UPLOAD_ID}`
const SENT = /^Cloned to elsewhere at /

const has = (data: Readonly<LabState>, name: string) => data.nodes.some((node) => node.name === name)
const wasSent = ({ nodes }: Readonly<LabState>) =>
  nodes.some(({ name, events }) => name === 'alpha' && events.some(({ text }) => SENT.test(text)))

async function succeeded({ operations }: Rooms, id: string): Promise<void> {
  await operations.ended(id)
}

/** Its upload is here already; what was announced is its base image, which needs no other file. */
async function receive(rooms: Rooms): Promise<void> {
  const { layout, store, nodes } = rooms
  const image = store.data.images.find(({ id }) => id === 'empty')
  if (!image) throw new Error('there is no image')
  const upload = uploadOf(layout)
  const request: NodeTransfer = {
    kind: 'node',
    key: 'faults',
    node: {
      name: 'received',
      cpus: 1,
      memoryMib: 64,
      diskBytes: image.virtualSizeBytes,
      internet: false,
      agent: false,
      guest: { user: 'ada', passwordHash: null, sshKeys: [] },
    },
    from: 'elsewhere',
    imageSha256: image.fingerprint.sha256,
    disk: {
      sha256: createHash('sha256')
        .update(await readFile(upload))
        .digest('hex'),
      sizeBytes: (await stat(upload)).size,
    },
    unpackedBytes: 1024 * 1024,
    replace: null,
    start: false,
  }
  const transfer = { id: '11111111-2222-8333-a444-555555555555', ownerId: ACTOR.id ?? '', request }
  await succeeded(rooms, (await nodes.receive(transfer, UPLOAD_ID, ACTOR, { internet: true })).id)
}

/** To another SandLabX in this very process. */
async function send(rooms: Rooms): Promise<void> {
  const far = await startFarSide(rooms.store.data.images)
  try {
    const to = { url: far.url, token: 'of another lab' }
    const request = cloneNodeSchema.parse({ name: 'elsewhere', to })
    const { operation } = await rooms.nodes.clone(idOf(rooms, 'alpha'), request, ACTOR, { internet: true })
    await succeeded(rooms, operation.id)
  } finally {
    await far.close()
  }
}

/** Clones that go to another SandLabX, and come from one. */
export const TRANSFERS: readonly Scenario[] = [
  {
    name: 'send',
    kinds: ['node.send'],
    async ready(rooms) {
      const { store, nodes } = rooms
      if (!wasSent(store.data)) return
      await store.change((draft) => {
        for (const node of draft.nodes) node.events = node.events.filter(({ text }) => !SENT.test(text))
      })
      await nodes.update(idOf(rooms, 'alpha'), { cpus: 2 }, ACTOR) // its sidecar, too
    },
    act: send,
    state: (data) => (wasSent(data) ? 'after' : 'before'),
  },
  {
    name: 'receive',
    kinds: ['node.receive'],
    async ready(rooms) {
      if (has(rooms.store.data, 'received')) await rooms.nodes.delete(idOf(rooms, 'received'), true, ACTOR)
      await mkdir(uploadsDir(rooms.layout), { recursive: true })
      await copyFile(`${rooms.layout.images}/empty.qcow2`, uploadOf(rooms.layout))
    },
    act: receive,
    state: (data) => (has(data, 'received') ? 'after' : 'before'),
  },
]
