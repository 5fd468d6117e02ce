import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { encode } from '../test/console/guacamole-client.js'
import { type Bench, median } from './bench.js'
import { type GuacamoleLab, startGuacamoleLab } from './guacamole-lab.js'

const PICTURES = 15
const KEYS = 60
const WARM_UP = 3

export const benches: Bench[] = [
  {
    name: 'first picture through guacd, against the same guacd spoken to directly',
    goal: 1.5,
    run: () =>
      compared(PICTURES, async (open) => {
        const began = performance.now()
        const viewer = await open()
        await viewer.picture()
        const took = performance.now() - began
        viewer.end()
        return took
      }),
  },
  {
    name: 'echo of a key through guacd, against the same guacd spoken to directly',
    goal: 1.5,
    run: async () => {
      const viewers = new Map<Open, Promise<GuacamoleViewer>>()
      return compared(KEYS, async (open) => {
        const known = viewers.get(open)
        const viewer = await (known ?? viewers.set(open, open()).get(open)!)
        if (!known) await viewer.picture()
        const began = performance.now()
        const echoed = viewer.picture()
        viewer.send('key', '97', '1')
        viewer.send('key', '97', '0')
        await echoed
        const took = performance.now() - began
        await viewer.rest() // the key's own release changes nothing, yet its frame may still come
        return took
      })
    },
  },
]

type Open = () => Promise<GuacamoleViewer>

/** Both ways in turn over the same guest and the same guacd. */
async function compared(rounds: number, measure: (open: Open) => Promise<number>) {
  const lab = await startGuacamoleLab('echoing')
  try {
    const ways = { plain: () => openDirectly(lab), ours: () => openOurs(lab) }
    const times = { plain: [] as number[], ours: [] as number[] }
    for (let round = 0; round < rounds + WARM_UP; round += 1) {
      for (const way of ['plain', 'ours'] as const) {
        const took = await measure(ways[way])
        if (round >= WARM_UP) times[way].push(took)
      }
    }
    const [ours, plain] = [median(times.ours), median(times.plain)]
    return { ratio: ours / plain, detail: `${ours.toFixed(1)} against ${plain.toFixed(1)} ms, ${rounds} rounds each` }
  } finally {
    await lab.close()
  }
}

interface GuacamoleViewer {
  send(...instruction: string[]): void
  /** The next frame that has a picture in it. */
  picture(): Promise<void>
  /** No picture for a while. */
  rest(): Promise<void>
  end(): void
}

async function openOurs(lab: GuacamoleLab): Promise<GuacamoleViewer> {
  const ws = new WebSocket(await lab.address(), { perMessageDeflate: false, headers: { origin: lab.origin } })
  const viewer = viewerOver(
    (text) => ws.send(text),
    () => ws.terminate(),
  )
  ws.on('message', (data: Buffer) => {
    const text = data.toString()
    if (!text.startsWith('{')) viewer.heard(text)
  })
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject))
  return viewer
}

/** As guacamole-lite does, without anything in between. */
async function openDirectly({ guacd, guest }: GuacamoleLab): Promise<GuacamoleViewer> {
  const socket = connect({ host: guacd.host, port: guacd.port, noDelay: true }).setEncoding('utf8')
  const viewer = viewerOver(
    (text) => socket.write(text),
    () => socket.destroy(),
  )
  let greeting = ''
  let isConnected = false
  socket.on('data', (text: string) => {
    if (isConnected) return viewer.heard(text)
    greeting += text
    if (!greeting.endsWith(';')) return
    isConnected = true
    const names = [...greeting.matchAll(/\d+\.([^,;]+)/g)].map((match) => match[1]!).slice(1)
    const values: Record<string, string> = { hostname: guest.vnc, port: '5900', VERSION_1_3_0: 'VERSION_1_1_0' }
    viewer.send('size', '1024', '768', '96')
    for (const kind of ['audio', 'video']) viewer.send(kind)
    viewer.send('image', 'image/webp', 'image/png', 'image/jpeg')
    viewer.send('timezone')
    viewer.send('connect', ...names.map((name) => values[name] ?? ''))
  })
  viewer.send('select', 'vnc')
  return viewer
}

const REST_MS = 120

function viewerOver(write: (text: string) => void, end: () => void): GuacamoleViewer & { heard(text: string): void } {
  let rest = ''
  let hasPicture = false
  let waiting: (() => void) | undefined
  let lastPictureAt = 0
  const send = (...instruction: string[]) => write(encode(instruction))
  return {
    send,
    heard(text) {
      rest += text
      const end = rest.lastIndexOf(';') + 1
      const whole = rest.slice(0, end)
      rest = rest.slice(end)
      for (const [, opcode, timestamp] of whole.matchAll(/(?:^|;)\d+\.(img|copy|rect|sync)(?:,\d+\.(\d+))?/g)) {
        if (opcode !== 'sync') {
          hasPicture = true
          continue
        }
        send('sync', timestamp ?? '0')
        if (!hasPicture) continue
        hasPicture = false
        lastPictureAt = performance.now()
        waiting?.()
        waiting = undefined
      }
    },
    picture: () => new Promise((resolve) => (waiting = resolve)),
    async rest() {
      while (performance.now() - lastPictureAt < REST_MS) await new Promise((resolve) => setTimeout(resolve, 10))
    },
    end,
  }
}
