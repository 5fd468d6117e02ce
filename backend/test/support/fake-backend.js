// Stands in for the backend's process in the tests of `sandlabx up`, `down` and `doctor`: the same files, environment
// and signals, and no lab behind. FAKE_BACKEND says how it behaves.
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { SANDLABX_DATA: data, SANDLABX_PORT: port = '0', SANDLABX_HOST: host = '127.0.0.1' } = process.env
const behaviour = process.env.FAKE_BACKEND ?? 'well'
const say = (line) => appendFileSync(`${data}/said`, `${line}\n`)
const log = (line) => process.stderr.write(`${JSON.stringify({ time: Date.now(), ...line })}\n`)

if (behaviour === 'locked') {
  process.stderr.write('sandlabx: Another backend works on this state.\n  Stop it first.\n')
  process.exit(75)
}
if (behaviour === 'crash') throw new Error('no such luck')

for (const folder of ['run', 'state']) mkdirSync(`${data}/${folder}`, { recursive: true })
process.stdout.write('First administrator: admin  password: never-in-a-log\n')
log({ level: 30, msg: 'reconciled' })
log({ level: 30, msg: 'request', req: {}, res: {} })

const operations = new Map()
const nodes = (process.env.FAKE_NODES ?? '')
  .split(',')
  .filter(Boolean)
  .map((name, index) =>
    JSON.parse(process.env.FAKE_NODE.replaceAll('NAME', name).replaceAll('000001', `00001${index}`)),
  )
let images = process.env.FAKE_IMAGES === 'some' ? [JSON.parse(process.env.FAKE_IMAGE)] : []
const recipes = ['tiny', 'debian-12', 'debian-12-systemd'].map((id) => ({
  id,
  title: id,
  description: '',
  buildSeconds: 1,
}))

function operation(id, state) {
  return {
    id,
    kind: 'image.build',
    title: `Build ${operations.get(id)}`,
    state,
    actorId: null,
    actorLogin: 'admin',
    target: null,
    step: 'working',
    progress: null,
    bytesDone: null,
    bytesTotal: null,
    log: [],
    error: state === 'failed' ? { code: 'download_failed', message: 'No mirror answers.', hint: 'Try later.' } : null,
    cancellable: true,
    startedAt: new Date().toISOString(),
    endedAt: null,
    outcome: null,
    resources: [],
    items: [],
    request: null,
  }
}

function answer(line, body) {
  if (line === 'GET /api/health/ready') {
    if (behaviour !== 'safe-mode') return [200, { ok: true }]
    return [503, { error: { code: 'safe_mode', message: 'SandLabX is in safe mode: the state is damaged.' } }]
  }
  if (line === 'GET /api/health') return [200, JSON.parse(process.env.FAKE_HEALTH ?? '{}')]
  if (line === 'GET /api/images') return [200, { images, recipes, catalog: [] }]
  if (line === 'POST /api/images/build') {
    const id = `00000000-0000-4000-8000-00000000000${operations.size}`
    operations.set(id, body.recipe)
    say(`build ${body.recipe}`)
    return [202, { operation: operation(id, 'running') }]
  }
  const asked = /^GET \/api\/operations\/(.+)$/.exec(line)
  if (asked) return [200, { operation: operation(asked[1], behaviour === 'no-mirror' ? 'failed' : 'succeeded') }]
  if (line === 'GET /api/nodes') {
    if (behaviour === 'no-database') return [401, { error: { code: 'not_signed_in', message: 'Who are you?' } }]
    return [200, { nodes }]
  }
  const stopped = /^POST \/api\/nodes\/(.+)\/stop$/.exec(line)
  if (stopped) {
    const node = nodes.find((one) => one.id === stopped[1])
    if (behaviour === 'stubborn') return [503, { error: { code: 'engine_failed', message: 'It does not stop.' } }]
    say(`stop ${node.name} now=${body.now}`)
    return [200, { node: { ...node, status: 'stopped' } }]
  }
  const suspended = /^POST \/api\/nodes\/(.+)\/suspend$/.exec(line)
  if (suspended) {
    const node = nodes.find((one) => one.id === suspended[1])
    if (behaviour === 'full') return [507, { error: { code: 'no_space', message: 'There is no room for its memory.' } }]
    say(`suspend ${node.name} resumeAtStart=${body.resumeAtStart}`)
    return [200, { node: { ...node, status: 'suspended' } }]
  }
  return [404, { error: { code: 'not_found', message: line } }]
}

const server = createServer((request, response) => {
  let text = ''
  request.on('data', (chunk) => (text += chunk))
  request.on('end', () => {
    const open = request.url.startsWith('/api/health/')
    const known = open || request.headers.authorization === 'Bearer sbx_local_fake'
    const [status, body] = known
      ? answer(`${request.method} ${request.url}`, text && JSON.parse(text))
      : [401, { error: { code: 'not_signed_in', message: 'Who are you?' } }]
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  })
})
server.listen(Number(port), host, () => {
  if (!existsSync(`${data}/state/local-token`))
    writeFileSync(`${data}/state/local-token`, 'sbx_local_fake', { mode: 0o600 })
  writeFileSync(`${data}/state/first-login`, JSON.stringify({ login: 'admin', password: 'first-password' }))
  const url = `http://${host}:${server.address().port}`
  writeFileSync(`${data}/run/backend.json`, JSON.stringify({ pid: process.pid, url }))
  log({ level: 40, msg: 'something to look at', err: { message: 'odd' } })
})

let signals = 0
for (const name of ['SIGINT', 'SIGTERM']) {
  process.on(name, () => {
    say(name)
    signals += 1
    if (signals > 1) return
    rmSync(`${data}/run/backend.json`, { force: true })
    setTimeout(() => process.exit(0), 100) // as long as a database needs to stop
  })
}
