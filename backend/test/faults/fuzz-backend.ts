import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeView } from '../../src/domain/node.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'

/** What the backend under test tells about itself once it listens. */
export interface BackendFacts {
  url: string
  /** Authorization headers by role. `owner`: the credential in the state folder. */
  tokens: Record<'student' | 'instructor' | 'administrator' | 'owner', string>
  image: string
  /** Accounts that requests may change; those that ask are not among them. */
  users: string[]
}

/** Asked over the process's channel; each is answered with its own name and what it found. */
export type BackendQuestion = 'memory' | 'session' | 'nodes' | 'close'

export interface BackendMemory {
  rssBytes: number
  heapBytes: number
}

const NODES = 6

/** A real backend with a real PostgreSQL and a fake engine, as a process that may die of what it is sent. */
async function main(): Promise<void> {
  const pageFolder = await mkdtemp(join(tmpdir(), 'sandlabx-page-'))
  await mkdir(join(pageFolder, 'assets'))
  await writeFile(join(pageFolder, 'index.html'), '<!doctype html><title>SandLabX</title>')
  await writeFile(join(pageFolder, 'assets/page.js'), 'void 0')
  const environment = { SANDLABX_LOG_LEVEL: 'error', SANDLABX_STUDENT_NODES: '50' }
  const lab = await startTestLab({ environment, pageFolder })
  const { services } = lab.backend
  await addTestImage(services.config.layout, services.lab!.store)
  const people = {
    student: await lab.person('student', 'fuzz-student'),
    instructor: await lab.person('instructor', 'fuzz-instructor'),
    administrator: await lab.person('administrator', 'fuzz-administrator'),
  }
  const session = await lab.person('student', 'fuzz-session')
  const victims = [await lab.person('student', 'victim-one'), await lab.person('instructor', 'victim-two')]
  const local = await readFile(join(services.config.layout.state, 'local-token'), 'utf8')
  const facts: BackendFacts = {
    url: lab.url,
    tokens: {
      student: people.student.token,
      instructor: people.instructor.token,
      administrator: people.administrator.token,
      owner: local,
    },
    image: 'empty',
    users: victims.map(({ id }) => id),
  }
  process.on('message', (question: BackendQuestion) => void answer(question))
  process.on('disconnect', () => void answer('close')) // whoever started us is gone
  process.send?.({ ready: facts })

  async function answer(question: BackendQuestion): Promise<void> {
    if (question === 'memory') process.send?.({ memory: await settledMemory() })
    if (question === 'session') process.send?.({ session: await cookieOf(lab, session.login) })
    if (question === 'nodes') process.send?.({ nodes: await enoughNodes(people.student) })
    if (question !== 'close') return
    await lab.close()
    await rm(pageFolder, { recursive: true, force: true })
    process.exit(0)
  }
}

/** After the garbage is gone and what is returned to the system has been: the lowest of some looks. */
async function settledMemory(): Promise<BackendMemory> {
  const looks: BackendMemory[] = []
  for (let look = 0; look < 5; look += 1) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 300))
    const { rss, heapUsed } = process.memoryUsage()
    looks.push({ rssBytes: rss, heapBytes: heapUsed })
  }
  return looks.reduce((lowest, look) => (look.rssBytes < lowest.rssBytes ? look : lowest))
}

/** As a browser gets it; not over HTTP, where the fuzz has long used up all attempts of this address. */
async function cookieOf(lab: TestLab, login: string): Promise<string> {
  const { sessions } = lab.backend.services
  const { cookieValue } = await sessions.signIn({
    login,
    password: `password of ${login}`,
    address: '127.0.0.2',
    userAgent: 'fuzz',
  })
  return `sandlabx_session=${cookieValue}`
}

/** Ids of nodes that exist, half of them running; what was deleted is made again. */
async function enoughNodes(owner: Person): Promise<string[]> {
  const { nodes } = (await owner.send('GET', '/api/nodes')).body as { nodes: NodeView[] }
  const ids = nodes.map(({ id }) => id)
  for (let number = 0; ids.length < NODES; number += 1) {
    const name = `made-${Date.now().toString(36)}-${number}`
    const made = await owner.send('POST', '/api/nodes', { name, image: 'empty', start: number % 2 === 0 })
    if (made.status !== 201) break
    ids.push(made.body.node.id)
  }
  return ids
}

if (process.argv[1] === import.meta.filename) await main()
