import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConsoles } from '../src/consoles/gateway.js'
import type { NodeId } from '../src/domain/ids.js'
import { createLog } from '../src/system/log.js'
import { type Bench, median } from './bench.js'
import { engineAt, VIEWER_SUBJECT } from './console-parts.js'

const MEASURE_MS = 2000
const ROUNDS = 3

/** Boots into `again: out 0x3f8, 'y'; out 0x3f8, line feed; jmp again`: nothing in a guest can talk faster. */
const TALKING_BOOT_SECTOR = Buffer.alloc(512)
Buffer.from('faba f803 b079 ee b00a ee ebf8'.replaceAll(' ', ''), 'hex').copy(TALKING_BOOT_SECTOR)
TALKING_BOOT_SECTOR.writeUInt16LE(0xaa55, 510)

/** No guest at all: says `yes` on a unix socket as fast as it is read. Shows where our own limit is. */
const FLOOD = `
  import { createServer } from 'node:net'
  const piece = Buffer.alloc(64 * 1024, 'y\\n')
  createServer((socket) => {
    const say = () => { while (socket.writable && socket.write(piece)); }
    socket.on('drain', say).on('error', () => {}).resume()
    say()
  }).listen(process.argv[1], () => console.log('ready'))`

/** Reads a console as the page does, acknowledging what it got, and prints how many bytes came in the time given. */
const VIEWER = `
  import { WebSocket } from 'ws'
  const [url, origin, ms] = process.argv.slice(1)
  const ws = new WebSocket(url, { perMessageDeflate: false, headers: { origin } })
  let bytes = 0, acknowledged = 0
  ws.on('message', (data, isBinary) => {
    if (!isBinary) return
    bytes += data.length
    if (bytes - acknowledged < 64 * 1024) return
    acknowledged = bytes
    ws.send(JSON.stringify({ type: 'ack', bytes }))
  })
  ws.on('open', () => setTimeout(() => {
    const before = bytes, began = performance.now()
    setTimeout(() => {
      console.log((bytes - before) / (performance.now() - began))
      process.exit(0)
    }, Number(ms))
  }, 300))`

export const benches: Bench[] = [
  {
    name: 'serial line of a running QEMU to a viewer, against reading its socket directly',
    goal: 2, // at least half of the bytes
    async run() {
      const folder = await mkdtemp(join(tmpdir(), 'sbx-bench-'))
      try {
        const ofQemu = await compared(await startQemu(folder), join(folder, 'serial'))
        const flood = script(FLOOD, [join(folder, 'flood')])
        await line(flood)
        const limit = await compared(flood, join(folder, 'flood'))
        const detail = `${mib(ofQemu.ours)} of ${mib(ofQemu.plain)} MiB/s; without a guest ${mib(limit.ours)} of ${mib(limit.plain)}`
        return { ratio: ofQemu.plain / ofQemu.ours, detail }
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  },
]

const mib = (bytesPerMs: number) => ((bytesPerMs * 1000) / 1024 ** 2).toFixed(2)

/** Reads the same source both ways in turn, then ends it. */
async function compared(source: ChildProcess, path: string): Promise<{ ours: number; plain: number }> {
  const plain: number[] = []
  const ours: number[] = []
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      plain.push(await readDirectly(path))
      ours.push(await readThroughConsole(path))
    }
  } finally {
    source.kill('SIGKILL')
  }
  return { plain: median(plain), ours: median(ours) }
}

async function startQemu(folder: string): Promise<ChildProcess> {
  const [disk, path] = [join(folder, 'boot.img'), join(folder, 'serial')]
  await writeFile(disk, TALKING_BOOT_SECTOR)
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      '-nodefaults -no-user-config -display none -accel tcg -m 32 -snapshot -serial chardev:serial'.split(' '),
      ['-drive', `file=${disk},format=raw,if=ide`],
      ['-chardev', `socket,id=serial,path=${path},server=on,wait=off,logfile=${folder}/serial.log`],
    ].flat(),
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  for (let tries = 0; !existsSync(path); tries += 1) {
    if (tries > 200 || qemu.exitCode !== null) throw new Error('QEMU did not start')
    await pause(25)
  }
  return qemu
}

/** Bytes a millisecond. */
async function readDirectly(path: string): Promise<number> {
  const socket = connect(path)
  let bytes = 0
  socket.on('data', (chunk) => (bytes += chunk.length))
  await pause(300)
  const [before, began] = [bytes, performance.now()]
  await pause(MEASURE_MS)
  const rate = (bytes - before) / (performance.now() - began)
  socket.destroy()
  return rate
}

async function readThroughConsole(path: string): Promise<number> {
  const http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const consoles = createConsoles({
    engine: engineAt('serial', path),
    log: createLog('silent'),
    originAllowed: (request) => request.headers.origin === origin,
    mayOpen: () => true,
  })
  http.on(
    'upgrade',
    (request, socket, head) => void consoles.handleUpgrade(request, socket, head, { subject: VIEWER_SUBJECT }),
  )
  const { url } = consoles.issueTicket({
    subject: VIEWER_SUBJECT,
    nodeId: randomUUID() as NodeId,
    kind: 'serial',
    mode: 'view',
  })
  const viewer = script(VIEWER, [origin.replace('http', 'ws') + url, origin, String(MEASURE_MS)])
  try {
    return Number(await line(viewer))
  } finally {
    viewer.kill()
    consoles.close()
    http.closeAllConnections()
    http.close()
  }
}

function script(source: string, args: string[]): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '-e', source, '--', ...args], {
    cwd: new URL('..', import.meta.url).pathname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** The first line that the script prints. */
function line(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()))
    child.once('error', reject)
    child.once('exit', (code) => code !== 0 && reject(new Error(`a helper of the benchmark ended with ${code}`)))
  })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
