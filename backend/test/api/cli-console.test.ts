import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { readFile } from 'node:fs/promises'
import { spawn, type IPty } from 'node-pty'
import { WebSocketServer, type WebSocket } from 'ws'
import { CLOSE, type SerialServerMessage, type Viewer } from '../../src/domain/console.js'
import { aNode, uuid } from '../support/cli-fixtures.js'
import { cli, refusal, startStubApi, type StubApi, type StubAnswer } from '../support/cli.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { until } from '../support/until.js'

// The command runs as a process of its own on a real terminal; the server speaks the protocol of domain/console.ts.

let sources: CompiledSources
let api: StubApi
let sockets: WebSocketServer
let consoleAnswer: () => StubAnswer
const terminals: Terminal[] = []
const lines: Line[] = []

beforeAll(async () => {
  sources = await compileSources(['cli', 'domain'])
})
afterAll(() => sources.remove())

beforeEach(async () => {
  consoleAnswer = () => ({
    status: 201,
    body: {
      ticket: 't1',
      url: '/ws/console?ticket=t1',
      kind: 'serial',
      mode: 'control',
      engine: 'direct',
      notice: null,
      expiresAt: '2026-11-21T07:42:10.000Z',
    },
  })
  api = await startStubApi({
    'GET /api/nodes': { body: { nodes: [aNode()] } },
    [`POST /api/nodes/${uuid(1)}/consoles`]: () => consoleAnswer(),
  })
  sockets = new WebSocketServer({ noServer: true })
  api.server.on('upgrade', (request, socket, head) => {
    if (request.headers.authorization !== 'Bearer sbx_test' || request.url !== '/ws/console?ticket=t1') {
      socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
      return
    }
    sockets.handleUpgrade(request, socket, head, (ws) => lines.push(new Line(ws)))
  })
})

afterEach(async () => {
  for (const terminal of terminals.splice(0)) terminal.kill()
  for (const line of lines.splice(0)) line.ws.terminate()
  sockets.close()
  await api.close()
})

/** The server's side of one serial console. */
class Line {
  readonly ws: WebSocket
  readonly told: unknown[] = []
  typed = ''

  constructor(ws: WebSocket) {
    this.ws = ws
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.typed += data.toString('utf8')
      else this.told.push(JSON.parse(data.toString('utf8')))
    })
  }

  tell(message: SerialServerMessage): void {
    this.ws.send(JSON.stringify(message))
  }

  /** What the gateway does when somebody comes: who is here, then `hello`, then history. */
  greet(history: string, viewers: Viewer[] = [viewer()], recorded = false): void {
    const replay = Buffer.from(`\u001Bc${history}`)
    this.tell({ type: 'viewers', viewers })
    this.tell({ type: 'hello', viewerId: 'me', mode: 'control', replayBytes: replay.length, recorded })
    this.ws.send(replay.subarray(0, 1)) // in two parts: nothing may depend on the borders of messages
    this.ws.send(replay.subarray(1))
  }
}

function viewer(changes: Partial<Viewer> = {}): Viewer {
  return {
    id: 'me',
    login: 'anna',
    kind: 'serial',
    mode: 'control',
    engine: 'direct',
    writer: true,
    size: null,
    ...changes,
  }
}

const ALL_SAID = 'that was all'

class Terminal {
  readonly pty: IPty
  seen = ''
  exitCode: number | undefined

  constructor(pty: IPty) {
    this.pty = pty
    pty.onData((text) => (this.seen += text))
    pty.onExit(({ exitCode }) => (this.exitCode = exitCode))
  }

  sees(text: string): Promise<void> {
    return until(
      () => this.seen.includes(text),
      () => `The terminal does not show ${JSON.stringify(text)}:\n${this.seen}`,
    )
  }

  /** The shell waits for Enter at its end: what a terminal shows last may be lost when its program is gone. */
  async ends(): Promise<number> {
    await until(
      () => this.exitCode !== undefined || this.seen.includes(ALL_SAID),
      () => `It goes on:\n${this.seen}`,
    )
    if (this.exitCode === undefined) this.pty.write('\r')
    await until(
      () => this.exitCode !== undefined,
      () => `It goes on:\n${this.seen}`,
    )
    return this.exitCode ?? -1
  }

  kill(): void {
    if (this.exitCode === undefined) this.pty.kill('SIGKILL')
  }
}

/** A shell on a new terminal that runs the command, and then says how it ended and how it left the terminal. */
function runConsole(...args: string[]): Terminal {
  return runOnTerminal('console', 'web-1', ...args)
}

function runOnTerminal(...args: string[]): Terminal {
  const command = `"$0" "$@"; echo "exit=$?"; stty -a; echo "${ALL_SAID}"; read -r -t 20`
  const argv = [process.execPath, sources.path('cli/main.js'), ...args]
  const pty = spawn('bash', ['--norc', '-c', command, ...argv], {
    cols: 100,
    rows: 30,
    name: 'xterm-256color',
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', NO_COLOR: '1', ...api.env },
  })
  const terminal = new Terminal(pty)
  terminals.push(terminal)
  return terminal
}

async function attached(history = 'web-1 login: ', viewers?: Viewer[], ...args: string[]) {
  const terminal = runConsole(...args)
  const line = await nextLine()
  line.greet(history, viewers)
  await terminal.sees(history.trim())
  return { terminal, line }
}

async function nextLine(count = 1): Promise<Line> {
  await until(
    () => lines.length >= count,
    () => `There are ${lines.length} of ${count} connections; ${terminals[0]?.seen}`,
  )
  return lines[count - 1]!
}

/** The shell's terminal is as a shell needs it: it echoes, and Enter ends a line. */
async function isRestored(terminal: Terminal): Promise<void> {
  await terminal.ends()
  const settings = terminal.seen.slice(terminal.seen.indexOf('exit='))
  expect(settings).toMatch(/(?:^|\s)icanon\b/m)
  expect(settings).toMatch(/(?:^|\s)echo\b/m)
  expect(settings).toMatch(/(?:^|\s)isig\b/m)
  expect(settings).toMatch(/(?:^|\s)opost\b/m)
}

describe('sandlabx console', () => {
  it('shows the past, passes keys and output on, and detaches with the key that it stated', async () => {
    const { terminal, line } = await attached()
    expect(terminal.seen).toContain('Attaching to web-1. Ctrl-] detaches.')
    terminal.pty.write('root\r\u0003ä')
    await until(
      () => line.typed === 'root\r\u0003ä',
      () => JSON.stringify(line.typed),
    )
    line.ws.send(Buffer.from('Welcome to Debian ✓\r\n'))
    await terminal.sees('Welcome to Debian ✓')
    terminal.pty.write('last words\u001Dnot these')
    await isRestored(terminal)
    expect(line.typed).toBe('root\r\u0003älast words')
    expect(terminal.seen).toContain('Detached from web-1; it goes on.')
    expect(terminal.seen).toContain('exit=0')
  })

  it('says that it is recorded, and when that stops', async () => {
    const terminal = runConsole()
    const line = await nextLine()
    line.greet('web-1 login: ', [viewer()], true)
    await terminal.sees('RECORDED: what this console shows is kept, what you type is not.')
    line.tell({ type: 'recorded', recorded: false, reason: 'there is no room' })
    await terminal.sees('Recording stopped: there is no room.')
  })

  it('draws the bytes of the guest as they are', async () => {
    const { terminal, line } = await attached()
    line.ws.send(Buffer.from('one\ntwo\u001B[2A\r\nthree'))
    await terminal.sees('one\ntwo\u001B[2A\r\nthree')
  })

  it("does not wipe the person's scroll-back with the history's reset", async () => {
    const { terminal } = await attached()
    expect(terminal.seen).not.toContain('\u001Bc')
    expect(terminal.seen).toContain('web-1 login: ')
  })

  it('leaves the alternate screen and the modes that a program in the guest switched on', async () => {
    const { terminal, line } = await attached()
    line.ws.send(Buffer.from('\u001B[?10'))
    line.ws.send(Buffer.from('49h\u001B[?1000hvim'))
    await terminal.sees('vim')
    terminal.pty.write('\u001D')
    await isRestored(terminal)
    const after = terminal.seen.slice(terminal.seen.indexOf('vim'))
    expect(after).toContain('\u001B[?1049l')
    expect(after).toContain('\u001B[?1000l')
    expect(after).toContain('\u001B[?25h')
  })

  it('tells its size at once and after each change', async () => {
    const { terminal, line } = await attached()
    await until(() => line.told.length > 0)
    expect(line.told).toContainEqual({ type: 'resize', columns: 100, rows: 30 })
    terminal.pty.resize(132, 50)
    await until(() => line.told.length > 1)
    expect(line.told.at(-1)).toEqual({ type: 'resize', columns: 132, rows: 50 })
  })

  it('acknowledges what was drawn, the history included', async () => {
    const { line } = await attached('x'.repeat(1000))
    const block = Buffer.alloc(50_000, 'y')
    for (let sent = 0; sent < 6; sent += 1) line.ws.send(block)
    const acks = () => line.told.filter((told) => (told as { type: string }).type === 'ack') as { bytes: number }[]
    await until(
      () => (acks().at(-1)?.bytes ?? 0) > 250_000,
      () => JSON.stringify(line.told),
    )
    const all = acks().map((ack) => ack.bytes)
    expect(all).toEqual(all.toSorted((a, b) => a - b))
    expect(all.at(-1)).toBeLessThanOrEqual(301_002)
  })
})

describe('several people on one console', () => {
  const bert = viewer({ id: 'other', login: 'bert' })

  it('shows who is here and what they do, and when that changes', async () => {
    const screen = viewer({ id: 'third', login: 'carla', kind: 'screen' })
    const { terminal, line } = await attached('login:', [viewer(), { ...bert, writer: false }, screen])
    await terminal.sees('You type. Also here: bert (watches), carla (on the screen).')
    line.tell({ type: 'viewers', viewers: [viewer({ writer: false }), bert] })
    await terminal.sees('You watch, because bert types; Ctrl-T takes control. Also here: bert (types).')
    line.tell({ type: 'viewers', viewers: [viewer()] })
    await terminal.sees('You type. Nobody else is here.')
  })

  it('types nothing while another one does; Ctrl-T takes control', async () => {
    const { terminal, line } = await attached('login:', [viewer({ writer: false }), bert])
    terminal.pty.write('rm -rf /')
    await terminal.sees('Somebody else types; Ctrl-T takes control.')
    terminal.pty.write('\u0014')
    await until(() => line.told.some((told) => (told as { type: string }).type === 'take-control'))
    line.tell({ type: 'viewers', viewers: [viewer(), { ...bert, writer: false }] })
    await terminal.sees('You type. Also here: bert (watches).')
    terminal.pty.write('ls\u0014')
    await until(() => line.typed !== '')
    expect(line.typed).toBe('ls\u0014') // in control, Ctrl-T is the guest's
  })

  it('takes control at once with --take', async () => {
    const { line } = await attached('login:', [viewer({ writer: false }), bert], '--take')
    await until(() => line.told.length > 0)
    expect(line.told[0]).toEqual({ type: 'take-control' })
  })

  it('asks for a view only with --view', async () => {
    const { terminal, line } = await attached('login:', [viewer({ mode: 'view', writer: false }), bert], '--view')
    expect(api.requests.at(-1)?.body).toEqual({ kind: 'serial', mode: 'view' })
    terminal.pty.write('x\u0014')
    await terminal.sees('You only watch; Ctrl-] detaches.')
    expect(line.typed).toBe('')
    expect(line.told).not.toContainEqual({ type: 'take-control' })
  })
})

describe('how a console ends', () => {
  it('well, when the node stops', async () => {
    const { terminal, line } = await attached()
    line.tell({ type: 'node-stopped' })
    line.ws.close(CLOSE.notRunning)
    await isRestored(terminal)
    expect(terminal.seen).toContain('web-1 has stopped.')
    expect(terminal.seen).toContain('exit=0')
  })

  it.each([
    [CLOSE.notAllowed, 'You may no longer use the console of web-1.'],
    [CLOSE.notRunning, 'web-1 is not running.'],
    [CLOSE.takenOver, 'Somebody else has taken the console of web-1.'],
    [CLOSE.tooManyViewers, 'Too many people look at web-1 already.'],
    [1008, 'The server closed the console (1008 '],
  ])('with a sentence for close code %i', async (code, words) => {
    const { terminal, line } = await attached()
    line.ws.close(code, 'why')
    await isRestored(terminal)
    expect(terminal.seen).toContain(words)
    expect(terminal.seen).toContain('exit=1')
  })

  it("with the server's refusal when there is none", async () => {
    const hint = 'Start it first.'
    consoleAnswer = () => ({ status: 409, body: refusal('console_not_available', 'web-1 is stopped.', hint) })
    const terminal = runConsole()
    await isRestored(terminal)
    expect(terminal.seen).toContain('sandlabx: web-1 is stopped.')
    expect(terminal.seen).toContain(`→ ${hint}`)
    expect(terminal.seen).toContain('exit=1')
  })

  it('with the terminal restored when it is told to end', async () => {
    const { terminal } = await attached()
    const [pid] = await childrenOf(terminal.pty.pid)
    process.kill(pid!, 'SIGTERM')
    await isRestored(terminal)
    expect(terminal.seen).toContain('Detached from web-1 by SIGTERM; it goes on.')
    expect(terminal.seen).toContain('exit=130')
  })

  it('comes back after the connection was lost, and does not show again what was seen', async () => {
    const { terminal, line } = await attached('first line\r\nsecond line\r\n')
    line.ws.send(Buffer.from('third line\r\n'))
    await terminal.sees('third line')
    line.ws.terminate()
    await terminal.sees('The connection is lost; trying again.')
    const again = await nextLine(2)
    again.greet('first line\r\nsecond line\r\nthird line\r\nwhile away\r\n')
    await terminal.sees('while away')
    expect(terminal.seen.split('second line')).toHaveLength(2)
    terminal.pty.write('here')
    await until(() => again.typed === 'here')
    terminal.pty.write('\u001D')
    await isRestored(terminal)
  })

  it('is left with Ctrl-] while it tries to come back', async () => {
    const { terminal, line } = await attached()
    consoleAnswer = () => ({ status: 503, body: refusal('starting_up', 'SandLabX is starting.') })
    line.ws.terminate()
    await terminal.sees('trying again')
    terminal.pty.write('\u001D')
    await isRestored(terminal)
    expect(terminal.seen).toContain('exit=0')
  })

  it('is refused where there is no terminal', async () => {
    const { exitCode, err } = await cli(['console', 'web-1'], { env: api.env })
    expect(exitCode).toBe(2)
    expect(err).toContain('sandlabx log web-1')
    expect((await cli(['console', 'web-1', '--view', '--take'], { env: api.env })).exitCode).toBe(2)
  })
})

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').map(Number)
}

describe('sandlabx ssh', () => {
  async function shell() {
    const terminal = runOnTerminal('ssh', 'web-1')
    const line = await nextLine()
    const own = viewer({ kind: 'ssh' })
    line.tell({ type: 'hello', viewerId: 'me', mode: 'control', replayBytes: 0, recorded: false })
    line.tell({ type: 'viewers', viewers: [own, viewer({ id: 'bert', login: 'bert', kind: 'ssh' })] })
    line.ws.send(Buffer.from('anna@web-1:~$ '))
    await terminal.sees('anna@web-1:~$ ')
    return { terminal, line }
  }

  it('is a shell of one’s own, which ends well when the shell does', async () => {
    const { terminal, line } = await shell()
    terminal.pty.write('exit\r')
    await until(
      () => line.typed === 'exit\r',
      () => JSON.stringify(line.typed),
    )
    line.ws.send(Buffer.from('The session has ended.\r\n'))
    line.ws.close(CLOSE.finished, 'the SSH session has ended')
    await isRestored(terminal)
    expect(api.requests.at(-1)?.body).toEqual({ kind: 'ssh', mode: 'control' })
    expect(terminal.seen).toContain('The session has ended.')
    expect(terminal.seen).not.toContain('Also here')
    expect(terminal.seen).toContain('exit=0')
  })

  it('does not open another shell by itself when the connection is lost', async () => {
    const { terminal, line } = await shell()
    line.ws.terminate()
    await isRestored(terminal)
    expect(terminal.seen).toContain('exit=1')
    expect(lines).toHaveLength(1)
  })
})
