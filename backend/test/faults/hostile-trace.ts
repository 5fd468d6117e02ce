import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { basename } from 'node:path'
import { pathsOf } from '../support/opened-paths.js'
import { MARK } from './hostile-importer.js'

/** What may be touched while strangers' files are imported. Everything else counts as outside. */
export interface Allowed {
  /** Data folder, the compiled program, and what the watched process is given and gives back. */
  ofImporter: string[]
  /** The file with this index, which is open to the importer alone and only in its turn. */
  fileOf(index: number): string
  /** Staging folders; the tools may open two files in each and nothing else of ours. */
  staging: string
  /** What `prlimit` must have set before `qemu-img` starts; bytes and seconds. */
  limits: { AS: number; FSIZE: number; CPU: number }
}

export interface Observation {
  /** The file whose turn it was. */
  index: number
  program: string
  what: string
}

export interface Seen {
  opens: number
  outside: Observation[]
  connections: Observation[]
  /** Tools that ran without one of their limits, or with more than they may have. */
  unlimited: Observation[]
  /** How often each tool ran. */
  tools: Record<string, number>
  /** What the importer did on purpose to be seen: without it the trace proves nothing. */
  canaries: number
}

export const TRACED_CALLS =
  'open,openat,openat2,creat,truncate,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,access,' +
  'socket,connect,execve,execveat,prlimit64,setrlimit'

const OPENING = /^(?:open|openat|openat2|creat|truncate|rename\w*|unlink\w*|link\w*|symlink\w*)$/
/** Libraries and the kernel's own; nothing here is a person's, and no image can choose what is read of it. */
const SYSTEM = [
  '/lib/',
  '/lib64/',
  '/usr/lib/',
  '/usr/share/locale',
  '/usr/share/zoneinfo',
  '/etc/ld.so.',
  '/etc/localtime',
  '/sys/devices/system/',
  '/sys/fs/cgroup/',
  '/dev/null',
  '/dev/urandom',
  '/proc/filesystems',
  '/proc/self/status',
  '/proc/sys/',
]
const IMPORTER_SYSTEM = ['/proc/', '/etc/ssl/', '/etc/passwd', '/usr/bin/']

/** Reads what `strace -f -q -Y -y` wrote. Nothing counts before the first mark and after the last. */
export async function readTrace(log: string, allowed: Allowed): Promise<Seen> {
  const all = await readAll(log, allowed)
  const isCanary = ({ index }: Observation) => index === CANARY_INDEX
  return {
    ...all,
    outside: all.outside.filter((one) => !isCanary(one)),
    connections: all.connections.filter((one) => !isCanary(one)),
    canaries: Math.min(all.outside.filter(isCanary).length, all.connections.filter(isCanary).length),
  }
}

const CANARY_INDEX = Number.MAX_SAFE_INTEGER

/** The index in a mark; none after the last one. */
function indexOf(mark: string): number {
  const name = mark.slice(MARK.length)
  if (name === 'canary') return CANARY_INDEX
  return name === 'end' ? -1 : Number(name)
}

async function readAll(log: string, allowed: Allowed): Promise<Seen> {
  const seen: Seen = { opens: 0, outside: [], connections: [], unlimited: [], tools: {}, canaries: 0 }
  const processes = new Map<string, { program: string; limits: Record<string, number> }>()
  let index = -1
  for await (const line of createInterface({ input: createReadStream(log), crlfDelay: Infinity })) {
    const call = parse(line)
    if (!call) {
      const ended = /^(\d+)(?:<[^>]*>)? \+\+\+/.exec(line)?.[1]
      if (ended !== undefined) processes.delete(ended)
      continue
    }
    const known = processes.get(call.pid) ?? { program: call.comm, limits: {} }
    if (call.name === 'access') {
      const marked = /^"([^"]*)"/.exec(call.rest)?.[1]
      if (marked?.startsWith(MARK) === true) index = indexOf(marked)
      continue
    }
    if (call.name === 'execve' && call.rest.endsWith(' = 0')) {
      const program = basename(/^"([^"]*)"/.exec(call.rest)?.[1] ?? '')
      processes.set(call.pid, { program, limits: known.limits })
      if (index >= 0) startOf(program, known.limits, index, allowed, seen)
      continue
    }
    if (call.name === 'prlimit64') {
      noteLimit(call.rest, known.limits)
      processes.set(call.pid, known)
      continue
    }
    if (index >= 0) note(call, known.program, index, allowed, seen)
  }
  return seen
}

interface Call {
  pid: string
  comm: string
  name: string
  rest: string
}

function parse(line: string): Call | undefined {
  const [, pid, comm, name, rest] = /^(\d+)<([^>]*)> (\w+)\((.*)$/.exec(line) ?? []
  if (pid === undefined || comm === undefined || name === undefined || rest === undefined) return undefined
  return { pid, comm, name, rest }
}

const TOOLS = new Set(['prlimit', 'cp', 'qemu-img'])

function startOf(program: string, limits: Record<string, number>, index: number, allowed: Allowed, seen: Seen): void {
  seen.tools[program] = (seen.tools[program] ?? 0) + 1
  if (!TOOLS.has(program)) seen.outside.push({ index, program, what: 'a program that imports do not need' })
  if (program !== 'qemu-img') return
  for (const [name, most] of Object.entries(allowed.limits)) {
    const set = limits[name]
    if (set !== undefined && set <= most) continue
    seen.unlimited.push({ index, program, what: `${name} was ${set ?? 'not set'}; at most ${most} is allowed` })
  }
}

/** `0, RLIMIT_AS, {rlim_cur=2097152*1024, rlim_max=2097152*1024}, NULL) = 0`; the maximum can't be raised again. */
function noteLimit(rest: string, limits: Record<string, number>): void {
  const [, name, value, factor] = /^0, RLIMIT_(\w+), \{rlim_cur=.*, rlim_max=(\d+)(?:\*(\d+))?\}/.exec(rest) ?? []
  if (name !== undefined) limits[name] = Number(value) * Number(factor ?? 1)
}

function note(call: Call, program: string, index: number, allowed: Allowed, seen: Seen): void {
  if (call.name === 'connect' || (call.name === 'socket' && !/^AF_(UNIX|ALG)\b/.test(call.rest))) {
    seen.connections.push({ index, program, what: `${call.name}(${call.rest}`.slice(0, 300) })
  }
  if (!OPENING.test(call.name)) return
  for (const path of pathsOf(call.rest)) {
    seen.opens += 1
    const may = TOOLS.has(program) ? mayTool(path, allowed) : mayImporter(path, index, allowed)
    if (!may) seen.outside.push({ index, program, what: `${call.name} ${path}`.slice(0, 300) })
  }
}

function mayTool(path: string, { staging }: Allowed): boolean {
  if (SYSTEM.some((start) => path.startsWith(start)) || path === '/proc/self/fd/3') return true
  if (!path.startsWith(`${staging}/`)) return false
  return /^\/[^/]+\/(?:source|out\/image\.qcow2)$/.test(path.slice(staging.length))
}

function mayImporter(path: string, index: number, allowed: Allowed): boolean {
  if (path === allowed.fileOf(index)) return true
  return [...SYSTEM, ...IMPORTER_SYSTEM, ...allowed.ofImporter].some((start) => path.startsWith(start))
}
